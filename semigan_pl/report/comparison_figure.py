"""A comparison at a glance: a panel for each setting and metric, a row for each method, the best on top."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semigan_pl.report.comparison import MEAN, Column, Row, Table
from semigan_pl.report.comparison_words import class_heading
from semigan_pl.report.style import Drawing, Theme, plain

WIDTH, ROW_HEIGHT, FRAME = 9.6, 0.2, 0.9  # inches; FRAME: title and axis of a panel
ABREAST = 2  # panels of one metric; of several, the metrics stand side by side
LONGEST, BROAD = 28, 38  # letters of a name, and of a line of a title
LEGEND = 6  # marks in a line
MARKERS = "os^vP*Xd"  # of classes that no mean stands for


class Panel(NamedTuple):
    """One metric in one setting."""

    table: Table
    unseen: Table | None  # the same over the classes never known
    metric: str

    @property
    def ranked(self) -> list[Row]:
        """The rows that have a place of their own, the best of the first metric on top: the order of all its panels."""
        rows = self.table.rows
        own = [row for row in rows if row.kind == "measured" or (row.kind == "reference" and not row.method)]
        first = next(iter(self.table.layout.metrics))
        return sorted(own, key=lambda row: -value if (value := _value(row, first)) is not None else math.inf)


def panels(tables: Sequence[Table]) -> list[Panel]:
    """Of each setting those of all metrics."""
    unseen = {table.setting: table for table in tables if table.unseen}
    shown = [table for table in tables if not table.unseen]
    return [Panel(table, unseen.get(table.setting), metric) for table in shown for metric in table.layout.metrics]


def size(tables: Sequence[Table]) -> tuple[float, float]:
    """Width and height of the picture in inches."""
    return WIDTH, 0.5 + sum(_heights(tables))


def dots(tables: Sequence[Table]) -> Drawing:
    """Every method: the mean over the classes and the classes, or the classes alone, and what others have."""

    def draw(figure: Figure, theme: Theme) -> None:
        shown, heights = panels(tables), _heights(tables)
        rows = [row for table in tables for row in table.rows if row.kind != "difference"]
        lowest = min(0.5, *(group.mean for row in rows for group in row.groups.values()))
        grid = figure.subplots(len(heights), _abreast(tables), squeeze=False, height_ratios=heights)
        for axes, panel in zip(grid.flat, shown, strict=False):
            _draw(axes, panel, theme)
            axes.set_xlim(lowest - 0.03, 1.01)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        found: dict[str, Any] = {}
        for axes in grid.flat:
            found |= {words: handle for handle, words in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=min(len(found), LEGEND))

    return draw


def _abreast(tables: Sequence[Table]) -> int:
    n_metrics = len(tables[0].layout.metrics)
    return n_metrics if n_metrics > 1 else ABREAST


def _heights(tables: Sequence[Table]) -> list[float]:
    """Of the lines of panels; where each line is one setting, each is as high as it needs."""
    shown, abreast = panels(tables), _abreast(tables)
    rows = [
        max(len(panel.ranked) for panel in shown[first : first + abreast]) for first in range(0, len(shown), abreast)
    ]
    if len(tables[0].layout.metrics) == 1:
        rows = [max(rows)] * len(rows)
    return [FRAME + ROW_HEIGHT * n for n in rows]


def _value(row: Row, metric: str) -> float | None:
    """The mean over the classes; of a row that lacks some, the mean of those that it has; None where it has none."""
    groups = row.of(metric)
    if MEAN in groups:
        return groups[MEAN].mean
    return statistics.fmean(group.mean for group in groups.values()) if groups else None


def _draw(axes: Axes, panel: Panel, theme: Theme) -> None:
    table, ranked = panel.table, panel.ranked
    places = {row.method or row.name: place for place, row in enumerate(ranked)}
    axes.hlines(range(len(ranked)), 0, 1, color=theme.rule, linewidth=0.6, zorder=0)
    if panel.metric == "auroc":  # guessing
        axes.axvline(0.5, color=theme.muted, linewidth=1, linestyle=":", zorder=0)
    if table.layout.mean:
        _means(axes, panel, places, theme)
    else:
        _classes(axes, panel, places, theme)
    axes.set_yticks(range(len(ranked)), labels=[plain(row.name.partition(",")[0], LONGEST) for row in ranked])
    for row, text in zip(ranked, axes.get_yticklabels(), strict=True):
        text.set_color(theme.ink if row.kind == "measured" else theme.anomalous)
    axes.set(
        title="\n".join(plain(line, BROAD) for line in textwrap.wrap(table.title, BROAD)),
        xlabel=plain(table.layout.metrics[panel.metric], BROAD),
        ylim=(len(ranked) - 0.4, -0.6),
    )
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _means(axes: Axes, panel: Panel, places: dict[str, int], theme: Theme) -> None:
    """Where a mean stands for the classes."""
    table, unseen, metric = panel
    for row in panel.ranked:
        if row.kind == "measured":
            _measured(axes, row, metric, places[row.method], theme)
    looks = (
        (True, "published, or another program", theme.anomalous),
        (False, "published, of other classes", theme.muted),
    )
    others = [row for row in table.rows if row.kind == "reference" and row.of(metric)]
    for is_same, words, colour in looks:
        some = [row for row in others if _covers(row, metric, len(table.classes)) == is_same]
        if some:
            marks = [(_value(row, metric), places[row.method or row.name]) for row in some]
            look: dict[str, Any] = {"markerfacecolor": theme.paper, "markeredgecolor": colour, "markersize": 5.5}
            axes.plot(*zip(*marks, strict=True), "D", label=words, zorder=4, clip_on=False, **look)
    if unseen is not None:
        rows = [row for row in unseen.rows if row.kind == "measured" and row.of(metric)]
        hollow = [(_value(row, metric), places[row.method]) for row in rows]
        look = {"markerfacecolor": theme.paper, "markeredgecolor": theme.normal, "markersize": 6}
        axes.plot(*zip(*hollow, strict=True), "o", label="over classes never known", zorder=3, clip_on=False, **look)


def _covers(reference: Row, metric: str, n_classes: int) -> bool:
    """Whether its mean is over the classes that are shown, neither fewer nor more."""
    mean = reference.of(metric).get(MEAN)
    return mean is not None and mean.n == n_classes


def _measured(axes: Axes, row: Row, metric: str, place: int, theme: Theme) -> None:
    groups = row.of(metric)
    classes = [group.mean for name, group in groups.items() if name != MEAN]
    if len(classes) > 1:
        faint: dict[str, Any] = {"color": theme.normal, "markersize": 7, "markeredgewidth": 1.0, "alpha": 0.5}
        axes.plot(classes, [place] * len(classes), "|", label="a class", zorder=2, **faint)
    if (mean := _value(row, metric)) is not None:
        axes.plot(mean, place, "o", color=theme.normal, label="mean over classes", markersize=6, zorder=3)


def _classes(axes: Axes, panel: Panel, places: dict[str, int], theme: Theme) -> None:
    """Where no mean stands for them: each class has a mark, filled where it is ours, hollow where it is another's."""
    table, unseen, metric = panel
    looks = (
        ("measured", "", table, {"color": theme.normal, "markersize": 6, "alpha": 0.85}),
        ("measured", ", never known", unseen, {"color": theme.normal, "markersize": 6, "fillstyle": "none"}),
        ("reference", ", published", table, {"color": theme.anomalous, "markersize": 5.5, "fillstyle": "none"}),
    )
    for kind, words, source, look in looks:
        rows = [] if source is None else [row for row in source.rows if row.kind == kind]
        for number, name in enumerate(table.classes):
            column = Column(metric, name)
            marks = [(row.groups[column].mean, places[row.method or row.name]) for row in rows if column in row.groups]
            if marks:
                label = plain(class_heading(name, table)) + words
                marker = MARKERS[number % len(MARKERS)]
                axes.plot(*zip(*marks, strict=True), marker, label=label, clip_on=False, **look)  # type: ignore[arg-type]
