"""Measured numbers in groups, published ones beside them: what the tables and the picture of a comparison show."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from semigan_pl.report.comparison_runs import Cell, Comparison, Layout, Reference

MEAN = "mean"  # the last column of a metric: over the classes, each of which counts once


class Group(NamedTuple):
    """Several measurements as one number."""

    mean: float
    deviation: float | None  # of the sample; None where one measurement gives none
    n: int


class Column(NamedTuple):
    """One metric of one class."""

    metric: str
    name: str  # of the class, or MEAN


class Row(NamedTuple):
    """One line of a table."""

    kind: str  # measured, reference, difference
    method: str  # the method that is measured, or that the reference belongs to; empty: a reference of its own
    name: str
    score: str  # of a measured method: its one score
    groups: dict[Column, Group]
    source: str  # of a reference

    def of(self, metric: str) -> dict[str, Group]:
        """The groups of one metric by class."""
        return {column.name: group for column, group in self.groups.items() if column.metric == metric}


class Table(NamedTuple):
    """All methods in one setting."""

    setting: str
    title: str
    unseen: bool  # over the classes never known; False: over all anomalies
    columns: list[Column]
    rows: list[Row]
    layout: Layout

    @property
    def n(self) -> int:
        """The most seeds behind the number of a class."""
        measured = [row.groups for row in self.rows if row.kind == "measured"]
        groups = [group for groups in measured for column, group in groups.items() if column.name != MEAN]
        return max((group.n for group in groups), default=0)

    @property
    def classes(self) -> list[str]:
        """Names of the classes that are shown."""
        return list(dict.fromkeys(column.name for column in self.columns if column.name != MEAN))


def grouped(values: Sequence[float]) -> Group:
    """Mean and deviation of at least one value."""
    return Group(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def compared(comparison: Comparison) -> list[Table]:
    """A table of each setting in which anything is measured; where one class is known, another over the unseen ones."""
    titles, cells, runs, references, layout = comparison
    planned = list(dict.fromkeys(cell.column for cell in cells))
    finished = [cell for cell in cells if cell.folder in runs]
    classes = [name for name in planned if name in {cell.column for cell in finished}]
    tables = []
    for (setting, title), unseen in product(titles.items(), (False, True)):
        here = [cell for cell in finished if cell.setting == setting and (cell.known is not None or not unseen)]
        if here:
            known = [one for one in references if setting in one.settings and one.unseen == unseen]
            others = [_row(entries, classes, planned, layout) for entries in _lines(known)]
            rows = _beside([*_measured(here, comparison, unseen)], others, planned, layout)
            has_mean = layout.mean and (len(classes) > 1 or any(_is_mean_alone(row) for row in rows))
            names = [*classes, MEAN] if has_mean else classes
            columns = [Column(metric, name) for metric, name in product(layout.metrics, names)]
            tables.append(Table(setting, title, unseen, columns, rows, layout))
    return tables


def _is_mean_alone(row: Row) -> bool:
    return {column.name for column in row.groups} == {MEAN}


def _with_mean(groups: Mapping[str, Group], layout: Layout) -> dict[str, Group]:
    """The groups of classes, and the mean and deviation over the classes where they are shown."""
    if not layout.mean or not groups:
        return dict(groups)
    return {**groups, MEAN: grouped([group.mean for group in groups.values()])}


def _flat(groups: Mapping[str, Mapping[str, Group]]) -> dict[Column, Group]:
    """Groups by metric and class as those of a row."""
    return {Column(metric, name): group for metric, named in groups.items() for name, group in named.items()}


def _measured(cells: Sequence[Cell], comparison: Comparison, unseen: bool) -> Iterator[Row]:
    """A row of each method, in the order of the cells."""
    runs, layout = comparison.runs, comparison.layout
    for method in dict.fromkeys(cell.method for cell in cells):
        own = [cell for cell in cells if cell.method == method]
        groups = {}
        for metric in layout.metrics:
            values = defaultdict[str, list[float]](list)
            for cell in own:
                run = runs[cell.folder]
                value = run.unseen(metric, str(cell.known)) if unseen else run.value(metric)
                if value is not None:
                    values[cell.column].append(value)
            groups[metric] = _with_mean({name: grouped(several) for name, several in values.items()}, layout)
        scores = dict.fromkeys(str(runs[cell.folder].metrics.get("score")) for cell in own)
        if any(groups.values()):
            yield Row("measured", method, method, " or ".join(scores), _flat(groups), "")


def _lines(references: Sequence[Reference]) -> list[list[Reference]]:
    """Those that share a row: the same but for the metric."""
    lines = defaultdict[tuple[str, str | None], list[Reference]](list)
    for reference in references:
        lines[reference.by, reference.method].append(reference)
    return list(lines.values())


def _row(entries: Sequence[Reference], classes: Sequence[str], planned: Sequence[str], layout: Layout) -> Row:
    """References of several metrics in the columns that are shown."""
    shown = [entry for entry in entries if entry.metric in layout.metrics]
    groups = {entry.metric: _published(entry, classes, planned, layout) for entry in shown}
    row = Row("reference", entries[0].method or "", entries[0].by, "", _flat(groups), "")
    if _is_mean_alone(row) and len(classes) < len(planned):
        row = row._replace(name=f"{row.name} (mean of all {len(planned)} classes)")
    return row._replace(source="; ".join(dict.fromkeys(entry.source for entry in shown)))


def _published(entry: Reference, classes: Sequence[str], planned: Sequence[str], layout: Layout) -> dict[str, Group]:
    """One metric of a reference by class."""
    values = {name: value for name in classes if (value := entry.value(name)) is not None}
    groups = {name: Group(value, None, 1) for name, value in values.items()}
    if values:
        return _with_mean(groups, layout) if len(values) == len(classes) else groups
    mean = entry.value(MEAN) if layout.mean else None
    return {} if mean is None else {MEAN: Group(mean, entry.deviation, len(planned))}


def _beside(measured: Sequence[Row], references: Sequence[Row], planned: Sequence[str], layout: Layout) -> list[Row]:
    """Each method, below it what others have and the difference; then what belongs to no method."""
    rows = list[Row]()
    for row in measured:
        rows.append(row)
        for reference in (one for one in references if one.method == row.method and one.groups):
            groups = {metric: _difference(row.of(metric), reference.of(metric), planned) for metric in layout.metrics}
            rows += [reference, Row("difference", row.method, "difference", "", _flat(groups), "")]
    named = {row.method for row in measured}
    return [*rows, *(one._replace(method="") for one in references if one.method not in named and one.groups)]


def _difference(own: Mapping[str, Group], others: Mapping[str, Group], planned: Sequence[str]) -> dict[str, Group]:
    """Measured minus reference; of the means only where both are over the same classes."""
    common = [name for name in planned if name in own and name in others]
    differences = {name: own[name].mean - others[name].mean for name in common}
    if MEAN in own and common and len(common) == own[MEAN].n:
        differences[MEAN] = statistics.fmean(differences.values())
    elif MEAN in own and MEAN in others and not common and own[MEAN].n == len(planned):
        differences[MEAN] = own[MEAN].mean - others[MEAN].mean
    return {name: Group(value, None, 1) for name, value in differences.items()}
