"""A comparison at a glance: a panel for each setting, a row for each method, the best on top."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semigan_pl.report.comparison import MEAN, Row, Table
from semigan_pl.report.style import Drawing, Theme, plain

WIDTH, ROW_HEIGHT, FRAME = 9.6, 0.2, 0.9  # inches; FRAME: title and axis of a panel
ABREAST = 2  # panels
LONGEST, BROAD = 28, 38  # letters of a name, and of a line of a title


def panels(tables: Sequence[Table]) -> list[tuple[Table, Table | None]]:
    """The table of each setting, and that over its unseen classes."""
    unseen = {table.setting: table for table in tables if table.unseen}
    return [(table, unseen.get(table.setting)) for table in tables if not table.unseen]


def size(tables: Sequence[Table]) -> tuple[float, float]:
    """Width and height of the picture in inches."""
    rows = max(len(_ranked(table)) for table, _ in panels(tables))
    return WIDTH, 0.5 + math.ceil(len(panels(tables)) / ABREAST) * (FRAME + ROW_HEIGHT * rows)


def dots(tables: Sequence[Table]) -> Drawing:
    """AUROC of every method: the mean over the classes, the classes, and what others have."""

    def draw(figure: Figure, theme: Theme) -> None:
        shown = panels(tables)
        rows = [row for table in tables for row in table.rows if row.kind != "difference"]
        lowest = min(0.5, *(group.mean for row in rows for group in row.groups.values()))
        grid = figure.subplots(math.ceil(len(shown) / ABREAST), ABREAST, squeeze=False)
        for axes, (table, unseen) in zip(grid.flat, shown, strict=False):
            _panel(axes, table, unseen, theme)
            axes.set_xlim(lowest - 0.03, 1.01)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        found: dict[str, Any] = {}
        for axes in grid.flat:
            found |= {words: handle for handle, words in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=len(found))

    return draw


def _ranked(table: Table) -> list[Row]:
    """The rows that have a place of their own, the best first."""
    own = [row for row in table.rows if row.kind == "measured" or (row.kind == "reference" and not row.method)]
    return sorted(own, key=lambda row: -_value(row))


def _value(row: Row) -> float:
    """The mean over the classes; of a reference that lacks some, the mean of those that it has."""
    if MEAN in row.groups:
        return row.groups[MEAN].mean
    return statistics.fmean(group.mean for group in row.groups.values())


def _covers(reference: Row, n_classes: int) -> bool:
    """Whether its mean is over the classes that are shown, neither fewer nor more."""
    return MEAN in reference.groups and reference.groups[MEAN].n == n_classes


def _panel(axes: Axes, table: Table, unseen: Table | None, theme: Theme) -> None:
    ranked = _ranked(table)
    places = {row.method or row.name: place for place, row in enumerate(ranked)}
    axes.hlines(range(len(ranked)), 0, 1, color=theme.rule, linewidth=0.6, zorder=0)
    axes.axvline(0.5, color=theme.muted, linewidth=1, linestyle=":", zorder=0)
    for row in ranked:
        if row.kind == "measured":
            _measured(axes, row, places[row.method], theme)
    n_classes = sum(column != MEAN for column in table.columns)
    looks = (
        (True, "published, or another program", theme.anomalous),
        (False, "published, of other classes", theme.muted),
    )
    for is_same, words, colour in looks:
        others = [row for row in table.rows if row.kind == "reference" and _covers(row, n_classes) == is_same]
        if others:
            marks = [(_value(row), places[row.method or row.name]) for row in others]
            look: dict[str, Any] = {"markerfacecolor": theme.paper, "markeredgecolor": colour, "markersize": 5.5}
            axes.plot(*zip(*marks, strict=True), "D", label=words, zorder=4, clip_on=False, **look)
    if unseen is not None:
        hollow = [(_value(row), places[row.method]) for row in unseen.rows if row.kind == "measured"]
        look = {"markerfacecolor": theme.paper, "markeredgecolor": theme.normal, "markersize": 6}
        axes.plot(*zip(*hollow, strict=True), "o", label="over classes never known", zorder=3, clip_on=False, **look)
    axes.set_yticks(range(len(ranked)), labels=[plain(row.name.partition(",")[0], LONGEST) for row in ranked])
    for row, text in zip(ranked, axes.get_yticklabels(), strict=True):
        text.set_color(theme.ink if row.kind == "measured" else theme.anomalous)
    axes.set(
        title="\n".join(plain(line, BROAD) for line in textwrap.wrap(table.title, BROAD)),
        xlabel="AUROC",
        ylim=(len(ranked) - 0.4, -0.6),
    )
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _measured(axes: Axes, row: Row, place: int, theme: Theme) -> None:
    classes = [group.mean for name, group in row.groups.items() if name != MEAN]
    if len(classes) > 1:
        faint: dict[str, Any] = {"color": theme.normal, "markersize": 7, "markeredgewidth": 1.0, "alpha": 0.5}
        axes.plot(classes, [place] * len(classes), "|", label="a class", zorder=2, **faint)
    axes.plot(_value(row), place, "o", color=theme.normal, label="mean over classes", markersize=6, zorder=3)
