"""Measured numbers in groups, published ones beside them: what the tables and the picture of a comparison show."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from semigan_pl.report.comparison_runs import Cell, FinishedRun, Reference

MEAN = "mean"  # the last column: over the classes, each of which counts once


class Group(NamedTuple):
    """Several measurements as one number."""

    mean: float
    deviation: float | None  # of the sample; None where one measurement gives none
    n: int


class Row(NamedTuple):
    """One line of a table, by column."""

    kind: str  # measured, reference, difference
    method: str  # the method that is measured, or that the reference belongs to; empty: a reference of its own
    name: str
    score: str  # of a measured method: its one score
    groups: dict[str, Group]
    source: str  # of a reference


class Table(NamedTuple):
    """All methods in one setting."""

    setting: str
    title: str
    unseen: bool  # over the classes never known; False: over all anomalies
    columns: list[str]
    rows: list[Row]

    @property
    def n(self) -> int:
        """The most seeds behind the number of a class."""
        measured = [row.groups for row in self.rows if row.kind == "measured"]
        return max((group.n for groups in measured for name, group in groups.items() if name != MEAN), default=0)


def grouped(values: Sequence[float]) -> Group:
    """Mean and deviation of at least one value."""
    return Group(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def with_mean(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The groups of classes, and the mean and deviation over the classes."""
    return {**groups, MEAN: grouped([group.mean for group in groups.values()])}


def compared(
    titles: Mapping[str, str], cells: Sequence[Cell], runs: Mapping[Path, FinishedRun], references: Sequence[Reference]
) -> list[Table]:
    """The tables of all settings in which anything is measured; where one class is known, another over the unseen ones.

    Args:
        titles: of the settings, in the order in which they are shown.
        cells: all that are planned.
        runs: those that are finished, by folder.
    """
    planned = list(dict.fromkeys(cell.column for cell in cells))
    finished = [cell for cell in cells if cell.folder in runs]
    columns = [column for column in planned if column in {cell.column for cell in finished}]
    tables = []
    for (setting, title), unseen in product(titles.items(), (False, True)):
        here = [cell for cell in finished if cell.setting == setting and (cell.known is not None or not unseen)]
        if here:
            known = [one for one in references if (one.setting, one.unseen) == (setting, unseen)]
            rows = _beside([*_measured(here, runs, unseen)], [_row(one, columns, planned) for one in known], planned)
            has_mean = len(columns) > 1 or any(set(row.groups) == {MEAN} for row in rows)
            tables.append(Table(setting, title, unseen, [*columns, MEAN] if has_mean else columns, rows))
    return tables


def _measured(cells: Sequence[Cell], runs: Mapping[Path, FinishedRun], unseen: bool) -> Iterator[Row]:
    """A row of each method, in the order of the cells."""
    for method in dict.fromkeys(cell.method for cell in cells):
        values = defaultdict[str, list[float]](list)
        own = [cell for cell in cells if cell.method == method]
        for cell in own:
            run = runs[cell.folder]
            value = run.unseen_auroc(str(cell.known)) if unseen else run.auroc
            if value is not None:
                values[cell.column].append(value)
        scores = dict.fromkeys(str(runs[cell.folder].metrics.get("score")) for cell in own)
        if values:
            groups = with_mean({column: grouped(several) for column, several in values.items()})
            yield Row("measured", method, method, " or ".join(scores), groups, "")


def _row(reference: Reference, columns: Sequence[str], planned: Sequence[str]) -> Row:
    """A reference in the columns that are shown."""
    values = {column: value for column in columns if (value := reference.value(column)) is not None}
    groups, name = {column: Group(value, None, 1) for column, value in values.items()}, reference.by
    if values and len(values) == len(columns):
        groups = with_mean(groups)
    elif not values and (mean := reference.value(MEAN)) is not None:
        groups[MEAN] = Group(mean, reference.deviation, len(planned))
        name += "" if len(columns) == len(planned) else f" (mean of all {len(planned)} classes)"
    return Row("reference", reference.method or "", name, "", groups, reference.source)


def _beside(measured: Sequence[Row], references: Sequence[Row], planned: Sequence[str]) -> list[Row]:
    """Each method, below it what others have and the difference; then what belongs to no method."""
    rows = list[Row]()
    for row in measured:
        rows.append(row)
        for reference in (one for one in references if one.method == row.method and one.groups):
            rows += [reference, _difference(row, reference, planned)]
    named = {row.method for row in measured}
    return [*rows, *(one._replace(method="") for one in references if one.method not in named and one.groups)]


def _difference(row: Row, reference: Row, planned: Sequence[str]) -> Row:
    """Measured minus reference; of the means only where both are over the same classes."""
    common = [column for column in planned if column in row.groups and column in reference.groups]
    differences = {name: row.groups[name].mean - reference.groups[name].mean for name in common}
    if common and len(common) == row.groups[MEAN].n:
        differences[MEAN] = statistics.fmean(differences.values())
    elif not common and MEAN in reference.groups and row.groups[MEAN].n == len(planned):
        differences[MEAN] = row.groups[MEAN].mean - reference.groups[MEAN].mean
    groups = {name: Group(value, None, 1) for name, value in differences.items()}
    return Row("difference", row.method, "difference", "", groups, "")
