"""Figures of a sweep for plotly.js, as plain dicts: plotly's own classes would take seconds where there are many.

Colours are those of the light page; the page's script puts the dark ones in their place. Each point carries in
`customdata` what it leads to: `g3` is the fourth setting, `r12` the thirteenth run.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from semigan_pl.evaluation.intervals import Estimate
from semigan_pl.report.style import LIGHT
from semigan_pl.report.sweep_axes import CONTAMINATION, GAMMA, Axes, lines_of
from semigan_pl.report.sweep_files import SweepRun
from semigan_pl.report.sweep_settings import Settings, is_number, named, shown
from semigan_pl.report.sweep_statistics import values_of

Figure = dict[str, Any]  # data and layout
COLOURS = (LIGHT.normal, LIGHT.anomalous, *LIGHT.others)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")  # a second way to tell lines apart
DASHES = ("solid", "dash", "dot", "dashdot")  # for more lines than there are colours
MOST_ROWS = 60  # settings in the overview
WIDE = 30.0  # positive numbers that span more than this stand on a logarithmic axis
MAP = "Cividis"  # its lightness rises evenly, so it reads the same without colour vision


def safe(text: str) -> str:
    """Words that plotly.js shows as they stand: it reads some HTML."""
    return html.escape(text, quote=False)


def lines(
    runs: Sequence[SweepRun],
    settings: Settings,
    axes: Axes,
    places: Sequence[int],
    metric: tuple[str, str],
    found: Sequence[Estimate | None],
) -> Figure:
    """A metric over an option, a line for each value of another: means with intervals, the seeds as faint points.

    Args:
        places: the settings of one panel.
        metric: its key and heading.
        found: of all settings.
    """
    key, heading = metric
    data, shapes = list[dict[str, Any]](), list[dict[str, Any]]()
    x_key = settings.factors[axes.x].key
    for number, (value, several) in enumerate(lines_of(settings, axes.line, places).items()):
        colour, name = COLOURS[number % len(COLOURS)], ""
        if axes.line is not None:
            name = named(settings.factors[axes.line], value) or "without"
            if (x_key, settings.factors[axes.line].key) == (GAMMA, CONTAMINATION) and is_number(value) and value > 0:
                dotted = {"color": colour, "width": 1, "dash": "dot"}
                end = {"x0": 1 - value, "x1": 1 - value, "yref": "paper", "y0": 0, "y1": 1}
                shapes.append({"type": "line", "line": dotted, "layer": "below", **end})
        measured = [(settings.groups[place].values[axes.x], place, one) for place in several if (one := found[place])]
        look = {"color": colour, "symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8}
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        data.append(_means(measured, name, number, look) | {"line": {"color": colour, "width": 1.8, "dash": dash}})
        data.append(_seeds(runs, settings, axes.x, several, key, number, {**look, "size": 5, "opacity": 0.45}))
    across = [settings.groups[place].values[axes.x] for place in places]
    x_axis = {"title": {"text": safe(settings.factors[axes.x].label)}, "type": _scale(across)}
    if len(set(across)) <= 12:
        x_axis |= {"tickvals": sorted(set(across)), "ticktext": [shown(value) for value in sorted(set(across))]}
    layout = {"xaxis": x_axis, "yaxis": {"title": {"text": safe(heading)}}, "shapes": shapes}
    return {"data": data, "layout": layout | {"showlegend": axes.line is not None}}


def _scale(values: Sequence[float]) -> str:
    return "log" if min(values) > 0 and max(values) / min(values) > WIDE else "linear"


def _means(measured: Sequence[tuple[Any, int, Estimate]], name: str, number: int, look: dict[str, Any]) -> Figure:
    points = sorted(measured, key=lambda point: float(point[0]))
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": safe(name),
        "legendgroup": str(number),
        "x": [value for value, *_ in points],
        "y": [_round(one.mean) for *_, one in points],
        "customdata": [f"g{place}" for _, place, _ in points],
        "text": [in_words(one) for *_, one in points],
        "hovertemplate": "%{x}: %{text}<extra>%{fullData.name}</extra>",
        "marker": look,
        "error_y": _bars([one for *_, one in points], look["color"]),
    }


def _bars(found: Sequence[Estimate], colour: str) -> dict[str, Any]:
    """Intervals; none where there is one seed."""
    up = [_round((one.high or one.mean) - one.mean) for one in found]
    down = [_round(one.mean - (one.mean if one.low is None else one.low)) for one in found]
    look = {"color": colour, "thickness": 1, "width": 3}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **look}


def _seeds(
    runs: Sequence[SweepRun],
    settings: Settings,
    x: int,
    places: Sequence[int],
    key: str,
    number: int,
    look: dict[str, Any],
) -> Figure:
    points = []
    for place in places:
        group = settings.groups[place]
        by_seed = dict(zip(group.seeds, group.runs, strict=True))
        for seed, value in values_of(runs, group, key).items():
            points.append((group.values[x], _round(value), f"r{by_seed[seed]}", f"seed {seed}"))
    across, up, to, text = ([point[n] for point in points] for n in range(4))
    look = {"mode": "markers", "marker": look, "hovertemplate": "%{x}: %{y}<extra>%{text}</extra>"}
    own = {"x": across, "y": up, "customdata": to, "text": [safe(str(one)) for one in text]}
    return {"type": "scatter", "legendgroup": str(number), "showlegend": False, **look, **own}


def heatmap(
    settings: Settings, axes: Axes, places: Sequence[int], heading: str, found: Sequence[Estimate | None]
) -> Figure | None:
    """A metric over two options; None where fewer than two values of each are there."""
    rows = {} if axes.line is None else lines_of(settings, axes.line, places)
    rows = {value: several for value, several in rows.items() if is_number(value)}
    across = sorted({settings.groups[place].values[axes.x] for several in rows.values() for place in several})
    if axes.line is None or len(rows) < 2 or len(across) < 2:
        return None
    cells = [[_cell(settings, axes.x, value, several) for value in across] for several in rows.values()]
    ones = [[None if cell is None else found[cell] for cell in row] for row in cells]
    one = {
        "type": "heatmap",
        "x": [shown(value) for value in across],
        "y": [shown(value) for value in rows],
        "z": [[None if one is None else _round(one.mean) for one in row] for row in ones],
        "text": [["" if one is None else f"{one.mean:.3f}" for one in row] for row in ones],
        "hovertext": [["" if one is None else in_words(one) for one in row] for row in ones],
        "customdata": [[None if cell is None else f"g{cell}" for cell in row] for row in cells],
        "texttemplate": "%{text}",
        "hovertemplate": "%{hovertext}<extra></extra>",
        "colorscale": MAP,
        "colorbar": {"thickness": 10, "outlinewidth": 0},
        "xgap": 2,
        "ygap": 2,
    }
    titles = [
        {"title": {"text": safe(settings.factors[place].label)}, "type": "category"} for place in (axes.x, axes.line)
    ]
    height = 130 + 44 * len(rows)
    return {
        "data": [one],
        "layout": {"xaxis": titles[0], "yaxis": titles[1], "title": {"text": safe(heading)}, "height": height},
    }


def _cell(settings: Settings, x: int, value: Any, places: Sequence[int]) -> int | None:
    return next((place for place in places if settings.groups[place].values[x] == value), None)


def overview(
    runs: Sequence[SweepRun], settings: Settings, metric: tuple[str, str], found: Sequence[Estimate | None]
) -> Figure:
    """The best settings, the best on top: means with intervals, and the seeds."""
    key, heading = metric
    ranked = sorted((place for place, one in enumerate(found) if one), key=lambda place: -_mean(found[place]))[
        :MOST_ROWS
    ]
    shown_ones = [one for place in ranked if (one := found[place])]
    means = {
        "type": "scatter",
        "mode": "markers",
        "x": [_round(one.mean) for one in shown_ones],
        "y": list(range(len(ranked))),
        "customdata": [f"g{place}" for place in ranked],
        "text": [
            f"{safe(settings.label(settings.groups[place]))}<br>{in_words(one)}"
            for place, one in zip(ranked, shown_ones, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": LIGHT.normal, "size": 9},
        "error_x": _bars(shown_ones, LIGHT.normal),
    }
    points = []
    for row, place in enumerate(ranked):
        group = settings.groups[place]
        by_seed = dict(zip(group.seeds, group.runs, strict=True))
        points += [
            (_round(value), row, f"r{by_seed[seed]}", f"seed {safe(seed)}")
            for seed, value in values_of(runs, group, key).items()
        ]
    across, rows, to, text = ([point[n] for point in points] for n in range(4))
    look = {"color": LIGHT.anomalous, "size": 9, "symbol": "line-ns-open", "line": {"width": 1.4}}
    seeds = {
        "type": "scatter",
        "mode": "markers",
        "x": across,
        "y": rows,
        "customdata": to,
        "text": text,
        "marker": look,
    }
    seeds["hovertemplate"] = "%{text}: %{x}<extra></extra>"
    labels = [safe(settings.label(settings.groups[place])) for place in ranked]
    y_axis = {
        "tickvals": list(range(len(ranked))),
        "ticktext": labels,
        "range": [len(ranked) - 0.4, -0.6],
        "zeroline": False,
    }
    layout = {
        "xaxis": {"title": {"text": safe(heading)}},
        "yaxis": y_axis,
        "showlegend": False,
        "height": 110 + 21 * len(ranked),
    }
    return {"data": [means, seeds], "layout": layout}


def _mean(one: Estimate | None) -> float:
    return one.mean if one else -1.0


def in_words(one: Estimate, digits: int = 3) -> str:
    """A mean with what is known of its spread."""
    if one.deviation is None:
        return f"{one.mean:.{digits}f} (one seed)"
    interval = f", 95 % interval {one.low:.{digits}f} to {one.high:.{digits}f}"
    return f"{one.mean:.{digits}f} ± {one.deviation:.{digits}f}{interval} ({one.n} seeds)"


def _round(value: float) -> float:
    return round(value, 4)


def all_figures(
    runs: Sequence[SweepRun],
    settings: Settings,
    axes: Axes | None,
    metrics: Mapping[str, str],
    found: Mapping[str, Sequence[Estimate | None]],
) -> dict[str, dict[str, dict[str, Figure]]]:
    """By name (overview, lines, heatmap), panel and metric; without those that make no sense for these runs."""
    figures: dict[str, dict[str, dict[str, Figure]]] = {}
    if len(settings.groups) > 1:
        figures["overview"] = {
            "": {key: overview(runs, settings, (key, words), found[key]) for key, words in metrics.items()}
        }
    for panel, places in ({} if axes is None else axes.panels).items():
        assert axes is not None
        for key, words in metrics.items():
            if any(found[key][place] for place in places):
                figures.setdefault("lines", {}).setdefault(panel, {})[key] = lines(
                    runs, settings, axes, places, (key, words), found[key]
                )
                if (one := heatmap(settings, axes, places, words, found[key])) is not None:
                    figures.setdefault("heatmap", {}).setdefault(panel, {})[key] = one
    return figures
