"""The study's pictures from its tables: python experiments/search/draw.py [FOLDER_OF_THE_TABLES]"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from rows import read

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semigan_pl.atomic import write_bytes
from semigan_pl.report.style import LIGHT, Theme, render

HERE = Path(__file__).resolve().parent
Table = list[dict[str, str]]
DESCENTS = {"paper": ":", "adam": "--", "lbfgs": "-"}
SAME = ("checkpoint", "test_images", "validation_images", "threads")  # what the rows of one picture share
STEPS = (0, 1, 2, 5, 10, 25, 50, 100, 200, 500)  # that are written at the axis
PARTS = {"images": "seconds", "resolution": "ms_per_image", "working_set": "ms_per_image"}  # of scaling, and times
X = {"images": "images", "resolution": "px", "working_set": "working_set"}


def chosen(rows: Table) -> Table:
    """The defaults: the quickest search whose mean loss on validation is within a tenth of the lowest. Sees no label.

    One without an encoder, and one with it, each where there is any.
    """
    ours = [row for row in rows if row["descent"] != "paper"]
    groups = ([row for row in ours if (row["start"] == "encoder") == with_encoder] for with_encoder in (False, True))
    return [min(_low(group), key=lambda row: float(row["ms_per_image"])) for group in groups if group]


def _low(rows: Table) -> Table:
    """Those whose loss is within a tenth of the lowest."""
    lowest = min(float(row["validation_loss"]) for row in rows)
    return [row for row in rows if float(row["validation_loss"]) <= 1.1 * lowest]


def draw_curve(folder: Path, same: Mapping[str, object] | None = None) -> None:
    """curve.png from curve.csv: of the rows that share these columns; by default, with the last one."""
    rows = read(folder / "curve.csv")
    same = same or {column: rows[-1][column] for column in SAME}
    rows = [row for row in rows if all(row[column] == str(value) for column, value in same.items())]
    defaults = chosen(rows)
    for row in defaults:
        print("Chosen on validation: {way}, {steps} steps, {ms_per_image} ms, test AUROC {auroc}".format(**row))

    def drawing(figure: Figure, theme: Theme) -> None:
        panels = figure.subplots(1, 3)
        by_time, losses, by_steps = panels
        for axes, x, y in (
            (by_time, "ms_per_image", "auroc"),
            (losses, "ms_per_image", "validation_loss"),
            (by_steps, "steps", "auroc"),
        ):
            for way in dict.fromkeys(row["way"] for row in rows):
                _line(axes, [row for row in rows if row["way"] == way], x, y, theme)
            for row in defaults:
                axes.plot(float(row[x]), float(row[y]), "o", ms=11, mfc="none", mec=theme.ink, mew=1.3, zorder=5)
            axes.grid(color=theme.rule, linewidth=0.5)
        for axes in (by_time, losses):
            axes.set(xscale="log", xlabel="milliseconds per image")
            _plain_ticks(axes.xaxis)
        losses.set(yscale="log", title="Mean final loss on validation")
        _plain_ticks(losses.yaxis)
        most = max(int(row["steps"]) for row in rows)
        by_steps.set_xscale("symlog", linthresh=1, linscale=0.4)
        by_steps.set(xlabel="steps", xlim=(-0.15, max(1, most) * 1.3))
        ticks = [step for step in STEPS if step <= most]
        by_steps.set_xticks(ticks, [str(step) for step in ticks])
        by_steps.minorticks_off()
        for axes in (by_time, by_steps):
            axes.set_title("AUROC on the test images")
            axes.set_ylim(bottom=_floor(rows))
        handles, labels = by_time.get_legend_handles_labels()
        if defaults:
            handles += by_time.plot([], [], "o", ms=9, mfc="none", mec=theme.ink, mew=1.3)
            labels.append("chosen, on validation alone")
        figure.legend(handles, labels, loc="outside lower center", ncols=4)

    write_bytes(folder / "curve.png", render(drawing, LIGHT, height=4.3, width=12.5))


def _line(axes: Axes, rows: Table, x: str, y: str, theme: Theme) -> None:
    """One way: coloured by its start, dashed by its descent."""
    colours = {"best": theme.normal, "nearest": theme.others[0], "encoder": theme.anomalous}
    rows = sorted(rows, key=lambda row: int(row["steps"]))
    descent = rows[0]["descent"]
    colour = theme.muted if descent == "paper" else colours[rows[0]["start"]]
    places = [[float(row[name]) for row in rows] for name in (x, y)]
    axes.plot(*places, DESCENTS[descent], color=colour, marker=".", ms=5, label=rows[0]["way"])


def _floor(rows: Table) -> float:
    """Where AUROC axes begin: AnoGAN's own first steps would press everything else together."""
    others = [float(row["auroc"]) for row in rows if row["descent"] != "paper"] or [0.5]
    return min(others) - 0.03 * (1.0 - min(others)) - 0.002


def draw_scaling(folder: Path) -> None:
    """scaling.png from scaling.csv: three panels, time above and memory below."""
    rows = read(folder / "scaling.csv")

    def drawing(figure: Figure, theme: Theme) -> None:
        times, memories = figure.subplots(2, 3, sharex="col")
        for column, (part, y) in enumerate(PARTS.items()):
            of_part, x = [row for row in rows if row["part"] == part], X[part]
            key = "patience" if part == "working_set" else "network"
            for name in dict.fromkeys(row[key] for row in of_part):
                group = sorted((row for row in of_part if row[key] == name), key=lambda row: int(row[x]))
                (line,) = _points(times[column], group, x, [float(row[y]) for row in group])
                line.set_label({"null": "all steps"}.get(name, f"patience {name}" if name.isdigit() else name))
                added = [float(row["peak_mib"]) - float(row["before_mib"]) for row in group]
                _points(memories[column], group, x, added, color=line.get_color())
                expected = [float(row["expected_mib"]) for row in group]
                memories[column].plot([int(row[x]) for row in group], expected, ":", color=line.get_color())
        _dress(times, memories, theme)

    write_bytes(folder / "scaling.png", render(drawing, LIGHT, height=5.4, width=12.5))


def _points(axes: Axes, rows: Table, x: str, y: Sequence[float], color: Any = None) -> list[Line2D]:
    return axes.plot([int(row[x]) for row in rows], y, ".-", ms=6, color=color)


def _dress(times: Sequence[Axes], memories: Sequence[Axes], theme: Theme) -> None:
    titles = ("Seconds, all images", "Milliseconds per image", "Milliseconds per image")
    places = ("images", "pixels, height and width", "working set: searches at once")
    for above, below, title, place in zip(times, memories, titles, places, strict=True):
        above.set(title=title, yscale="log", xscale="log")
        _plain_ticks(above.yaxis)
        below.set(title="Memory that the search adds, MiB", xlabel=place, xscale="log")
        below.set_ylim(0, 1.08 * max((float(np.max(line.get_ydata())) for line in below.get_lines()), default=1.0))
        for axes in (above, below):
            axes.grid(color=theme.rule, linewidth=0.5)
        marks = sorted({float(x) for line in above.get_lines() for x in np.asarray(line.get_xdata())})
        below.set_xticks(marks, [f"{mark:,.0f}" for mark in marks])
        below.minorticks_off()
        if len(above.get_lines()) > 1:
            above.legend(loc="best")
    memories[0].legend(memories[0].plot([], [], ":", color=theme.muted), ["expected of the working set"], loc="best")


def _plain_ticks(axis: Axis) -> None:
    """1, 10, 100 instead of powers; and what lies between, where the axis spans less than that."""
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_formatter(plain)
    low, high = axis.get_view_interval()
    if high < 50 * low:
        axis.set_minor_locator(LogLocator(subs=[2, 5]) if high > 4 * low else MaxNLocator(5))
    axis.set_minor_formatter(plain if high < 50 * low else NullFormatter())


if __name__ == "__main__":
    tables = Path(sys.argv[1]) if sys.argv[1:] else HERE
    for name, draw in (("curve", draw_curve), ("scaling", draw_scaling)):
        if (tables / f"{name}.csv").exists():
            draw(tables)
