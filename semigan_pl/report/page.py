"""The page of a run: figures, words and tables in one HTML file that needs nothing else."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semigan_pl.atomic import write_bytes
from semigan_pl.report import pictures
from semigan_pl.report.figures import Chart, curve_charts, result_charts
from semigan_pl.report.html import address, write_page
from semigan_pl.report.run_files import Examples, RunFiles, read_run
from semigan_pl.report.style import DARK, LIGHT, render
from semigan_pl.report.tables import class_table, confusion, pixels, score_terms
from semigan_pl.report.verdict import verdict

MOST_EXAMPLES, MOST_SAMPLES = 8, 6


class ChartImage(NamedTuple):
    """A chart for the light and for the dark page, as data: addresses."""

    light: str
    dark: str
    alt: str
    caption: str


class Card(NamedTuple):
    """One example: its pictures by name, as data: addresses, and what scores.csv says of it."""

    tiles: dict[str, str]
    name: str
    path: str
    score: float | None
    is_outlined: bool  # the defective pixels


def write_report(run_folder: Path, metrics: dict[str, Any] | None = None) -> Path:
    """Writes figures/*.png and report.html from the run's files alone; returns the page's path.

    `metrics` stand in for a metrics.json that is not written yet: it marks a finished run, so it comes last.

    Raises FileNotFoundError if the folder holds no finished run.
    """
    run = read_run(Path(run_folder), metrics)
    return write_page(run.folder / "report.html", "page.html.jinja", _content(run))


def command(overrides: list[str]) -> str:
    """What to type in a shell to repeat the run."""
    return shlex.join(["python", "run.py", *overrides])


def _content(run: RunFiles) -> dict[str, Any]:
    """Everything that the template shows."""
    splits, classes = class_table(run)
    has_maps = run.examples is not None and run.examples.maps is not None
    return {
        "run": run,
        "place": "/".join(run.folder.resolve().parts[-3:]),
        "verdict": verdict(run),
        "terms": score_terms(run),
        "confusion": confusion(run.scores),
        "pixels": pixels(run),
        "result_charts": [_drawn(run, chart) for chart in result_charts(run)],
        "curve_charts": [_drawn(run, chart) for chart in curve_charts(run)],
        "examples": _example_blocks(run, run.examples) if run.examples else {},
        "map_scale": pictures.map_scale(run.examples) if run.examples and has_maps else None,
        "outlined": pictures.OUTLINED,
        "colour_bar": pictures.colour_bar(),
        "samples": _samples(run),
        "splits": splits,
        "classes": classes,
        "totals": [sum(column) for column in zip(*(row.counts for row in classes), strict=True)],
        "command": command(run.overrides),
    }


def _drawn(run: RunFiles, chart: Chart) -> ChartImage:
    """Draws a chart twice: the light one is also kept as a file, the dark one lives in the page only."""
    light, dark = (render(chart.drawing, theme, chart.height) for theme in (LIGHT, DARK))
    write_bytes(run.folder / "figures" / f"{chart.name}.png", light)
    return ChartImage(address(light), address(dark), chart.alt, chart.caption)


def _example_blocks(run: RunFiles, examples: Examples) -> dict[str, list[Card]]:
    """The cards of each kind under their heading; the same as one sheet in figures/."""
    width, height = pictures.sheet_size(examples, MOST_EXAMPLES)
    sheet = render(pictures.sheet(examples, MOST_EXAMPLES), LIGHT, height, width)
    write_bytes(run.folder / "figures" / "examples.png", sheet)
    blocks = {}
    for kind, heading in pictures.headings(examples).items():
        rows = pictures.rows_of(examples, kind, MOST_EXAMPLES)
        blocks[heading] = [_card(run, examples, row, pictures.map_scale(examples)) for row in rows]
    return blocks


def _card(run: RunFiles, examples: Examples, row: int, scale: float) -> Card:
    shown = pictures.drawn_tiles(examples, row, scale)
    tiles = {name: address(pictures.png(pixels)) for name, pixels in shown.items()}
    scores, is_outlined = run.scores, examples.defect(row) is not None
    if scores is None or examples.indices[row] not in scores.indices:
        return Card(tiles, "", "", None, is_outlined)
    place = int(np.argmax(scores.indices == examples.indices[row]))
    return Card(tiles, scores.classes[place], scores.paths[place], float(scores.score[place]), is_outlined)


def _samples(run: RunFiles) -> dict[str, str]:
    """Images seen -> address, for at most MOST_SAMPLES grids spread evenly over training, the last among them."""
    if not run.samples:
        return {}
    places = np.unique(np.linspace(0, len(run.samples) - 1, MOST_SAMPLES).round().astype(int))
    return {_images_seen(run.samples[place]): address(run.samples[place].read_bytes()) for place in places}


def _images_seen(sample: Path) -> str:
    digits = sample.stem.removeprefix("samples_")
    return f"{int(digits):,}" if digits.isdecimal() else digits
