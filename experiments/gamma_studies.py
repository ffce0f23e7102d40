"""Runs of a study of gamma to csv, table and picture:

    python experiments/gamma_studies.py gamma_x_contamination|known|losses FOLDER_OF_RUNS...

They go to experiments/<study>/: runs.csv (every run, every score), table.md (mean, deviation and 95 % t interval over
the seeds; difference to gamma = 1, paired by seed), picture.png.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from semigan_pl.command_line import CONF
from semigan_pl.evaluation.intervals import Estimate, paired_t, t_interval
from semigan_pl.evaluation.metrics import auroc

HERE = Path(__file__).parent
LEVEL = 0.95
SCORES = ("anogan", "discrimination", "critic", "fused")  # the paper's; its feature term; D's verdict; the method's own
SETTING = ("loss", "contamination", "known_kinds", "known", "gamma")
# class -> option; of two options the first: wasserstein, not wasserstein_plain
LOSSES: dict[str, str] = {
    OmegaConf.to_container(OmegaConf.load(path))["_target_"]: path.stem  # type: ignore[index,call-overload]
    for path in sorted((CONF / "loss").glob("*.yaml"), reverse=True)
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
Row = dict[str, Any]
Setting = tuple[Any, ...]


class View(NamedTuple):
    """A panel: which runs, measured on which test images."""

    title: str
    known_kinds: str
    part: str


VIEWS = (
    View("all kinds known: all anomalies", "all", "all"),
    View("only ones known: all anomalies", "[1]", "all"),
    View("only ones known: the eight unseen kinds", "[1]", "unseen"),
)


class Study(NamedTuple):
    """What is drawn over what."""

    x: str
    line: str


STUDIES = {
    "gamma_x_contamination": Study("gamma", "contamination"),
    "known": Study("known", "gamma"),
    "losses": Study("loss", "gamma"),
}


def read(folder: Path) -> Row:
    """One finished run: its setting, and the AUROC of every score on all test images and on kinds never known."""
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    known = config.data.known_classes
    row: Row = {
        "loss": LOSSES[config.loss._target_],
        "contamination": config.data.contamination,
        "known_kinds": "all" if known is None else str(list(known)),
        "known": config.data.known_anomalies,
        "gamma": config.model.gamma,
        "seed": config.seed,
    }
    with (folder / "scores.csv").open(newline="") as file:
        images = list(csv.DictReader(file))
    row |= aurocs(images, "all")
    if known is not None:
        row |= aurocs([image for image in images if image["class"] not in map(str, known)], "unseen")
    return row


def aurocs(images: Sequence[dict[str, str]], part: str) -> Row:
    labels = np.array([int(image["label"]) for image in images])
    return {f"{part}/{score}": auroc(labels, np.array([float(image[score]) for image in images])) for score in SCORES}


def grouped(rows: Iterable[Row]) -> dict[Setting, list[Row]]:
    """Runs that are the same but for the seed, in the order of their settings."""
    groups = defaultdict[Setting, list[Row]](list)
    for row in rows:
        groups[tuple(row[key] for key in SETTING)].append(row)
    return dict(sorted(groups.items()))


def estimate(group: Sequence[Row], column: str) -> Estimate | None:
    values = [row[column] for row in group if row.get(column) is not None]
    return t_interval(values, LEVEL) if values else None


def table(groups: dict[Setting, list[Row]]) -> str:
    """Markdown: a line for each setting and view."""
    head = [*SETTING, "seeds", "tested on"]
    for score in ("anogan", "fused"):
        head += [score, "95 %", "over gamma 1", "95 %"]
    lines = [head, ["---"] * len(head)]
    for view in VIEWS:
        for setting, group in groups.items():
            if (
                setting[SETTING.index("known_kinds")] != view.known_kinds
                or estimate(group, f"{view.part}/fused") is None
            ):
                continue
            line = [*map(str, setting), str(len(group)), view.part]
            for score in ("anogan", "fused"):
                line += [
                    *in_words(estimate(group, f"{view.part}/{score}")),
                    *gain(groups, setting, f"{view.part}/{score}"),
                ]
            lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_words(one: Estimate | None) -> tuple[str, str]:
    if one is None or one.deviation is None:
        return ("" if one is None else f"{one.mean:.3f}"), ""
    return f"{one.mean:.3f} ± {one.deviation:.3f}", f"{one.low:.3f} to {min(1.0, one.high):.3f}"


def gain(groups: dict[Setting, list[Row]], setting: Setting, column: str) -> tuple[str, str]:
    """What this gamma gains over gamma = 1, which uses no known anomaly: any number of them is the same to it."""
    *others, gamma = setting
    at_one = [group for other, group in groups.items() if other[-1] == 1 and other[:3] == tuple(others[:3])]
    if gamma == 1 or not at_one:
        return "", ""
    reference = {row["seed"]: row[column] for group in at_one for row in group}
    own = {row["seed"]: row[column] for row in groups[setting]}
    common = sorted(own.keys() & reference.keys())
    if not common:
        return "", ""
    found = paired_t([own[seed] for seed in common], [reference[seed] for seed in common], LEVEL)
    return f"{found.mean:+.3f}", "" if found.low is None else f"{found.low:+.3f} to {found.high:+.3f}"


def draw(study: Study, rows: Sequence[Row], path: Path) -> None:
    """Two scores in rows, the views in columns; means with 95 % intervals and the seeds."""
    views = [view for view in VIEWS if any(row["known_kinds"] == view.known_kinds for row in rows)]
    figure = Figure(figsize=(1.5 + 3.2 * len(views), 6.4), layout="constrained")
    panels = figure.subplots(2, len(views), sharey="row", sharex=True, squeeze=False)
    for score, across in zip(("anogan", "fused"), panels, strict=True):
        for view, axes in zip(views, across, strict=True):
            shown = [row for row in rows if row["known_kinds"] == view.known_kinds]
            draw_panel(study, shown, f"{view.part}/{score}", axes)
            if score == "anogan":
                axes.set_title(view.title, fontsize=10)
            else:
                axes.set_xlabel(study.x)
        across[0].set_ylabel(f"AUROC of the score {score}")
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=150)


def draw_panel(study: Study, rows: Sequence[Row], column: str, axes: Axes) -> None:
    places = {value: place for place, value in enumerate(sorted({row[study.x] for row in rows}))}
    for number, value in enumerate(sorted({row[study.line] for row in rows})):
        points = defaultdict[Any, list[float]](list)
        for row in rows:
            if row[study.line] == value and row.get(column) is not None:
                points[row[study.x]].append(row[column])
        if not points:
            continue
        colour, label = COLOURS[number % len(COLOURS)], f"{study.line} {value}"
        if study.line == "gamma" and value == 1 and study.x == "known":  # it uses none: the same for any number
            pooled = t_interval(next(iter(points.values())), LEVEL)
            axes.axhline(pooled.mean, color=colour, linestyle="--", label=label)
            continue
        draw_line(points, places, colour, label, axes)
        if study == STUDIES["gamma_x_contamination"] and value > 0:
            axes.axvline(places_of(1 - value, places), color=colour, linestyle=":", linewidth=1)
    axes.set_xticks(list(places.values()), [f"{value:g}" if not isinstance(value, str) else value for value in places])
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(alpha=0.3)


def places_of(value: float, places: dict[Any, int]) -> float:
    """Of a gamma on the axis, where steps are even."""
    return float(np.interp(value, list(places), list(places.values())))


def draw_line(points: dict[Any, list[float]], places: dict[Any, int], colour: str, label: str, axes: Axes) -> None:
    found = {value: t_interval(points[value], LEVEL) for value in sorted(points, key=places.__getitem__)}
    x = [places[value] for value in found]
    y = [one.mean for one in found.values()]
    below = [0.0 if one.low is None else one.mean - one.low for one in found.values()]
    above = [min(bar, 1 - mean) for bar, mean in zip(below, y, strict=True)]  # symmetric, but AUROC ends at 1
    marks = "o" if isinstance(next(iter(found)), str) else "o-"  # between words there is nothing to read off a line
    axes.errorbar(x, y, [below, above], fmt=marks, color=colour, capsize=3, markersize=5, linewidth=1.4, label=label)
    for value, several in points.items():
        axes.plot([places[value]] * len(several), several, ".", color=colour, alpha=0.5, markersize=4)


def main() -> None:
    name, *folders = sys.argv[1:]
    found = {path.parent.resolve() for folder in folders for path in Path(folder).rglob("metrics.json")}
    rows = sorted((read(folder) for folder in found), key=lambda row: [str(row[key]) for key in (*SETTING, "seed")])
    place = HERE / name
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (place / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = table(grouped(rows))
    (place / "table.md").write_text(text)
    draw(STUDIES[name], rows, place / "picture.png")
    print(text)


if __name__ == "__main__":
    main()
