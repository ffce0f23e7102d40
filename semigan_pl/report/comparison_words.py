"""A comparison as text: what stands in each cell, markdown for people, a csv for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from semigan_pl.report.comparison import MEAN, Column, Row, Table


class Failure(NamedTuple):
    """A run that did not finish."""

    name: str
    reason: str
    command: str


def text(row: Row, column: Column, table: Table) -> str:
    """A cell as text; a dash where nothing is known."""
    group = row.groups.get(column)
    if group is None:
        return "–"
    if row.kind == "difference":
        return f"{group.mean:+.3f}"
    deviation = "" if group.deviation is None else f" ± {group.deviation:.3f}"
    usual = len(table.classes) if column.name == MEAN else table.n
    fewer = f" ({group.n})" if row.kind == "measured" and group.n < usual else ""
    return f"{group.mean:.3f}{deviation}{fewer}"


def heading(table: Table) -> str:
    """The title of a table."""
    return f"{table.title}{': classes never known' if table.unseen else ''}"


def class_heading(name: str, table: Table) -> str:
    """A class as its columns are headed."""
    return name if name == MEAN else table.layout.class_label.replace("{}", name)


def column_heading(column: Column, table: Table) -> str:
    """The metric is named where there are several."""
    name, metrics = class_heading(column.name, table), table.layout.metrics
    return f"{metrics[column.metric]}, {name}" if len(metrics) > 1 else name


def sources(table: Table) -> list[str]:
    """The sources of a table, each once; their numbers are their places from 1 on."""
    return list(dict.fromkeys(row.source for row in table.rows if row.source))


def label(row: Row, table: Table) -> str:
    """What stands before a row; what belongs to the row above is indented."""
    if row.kind == "measured":
        return f"{row.name} ({row.score})"
    source = f" [{sources(table).index(row.source) + 1}]" if row.source else ""
    return f"{'↳ ' if row.method else ''}{row.name}{source}"


def is_best(row: Row, column: Column, table: Table) -> bool:
    """Whether a method has the largest mean of a column, where several compete; over the classes: with none missing."""
    needed = len(table.classes) if column.name == MEAN else 1
    rivals = [one.groups.get(column) for one in table.rows if one.kind == "measured"]
    means = [group.mean for group in rivals if group is not None and group.n >= needed]
    own = row.groups.get(column)
    return len(means) > 1 and row.kind == "measured" and own is not None and own.n >= needed and own.mean == max(means)


def markdown(
    title: str, lead: Sequence[str], tables: Sequence[Table], notes: dict[str, str], failures: Sequence[Failure]
) -> str:
    """The whole comparison as markdown.

    Args:
        lead: what stands above the tables.
        notes: a sentence for each setting.
    """
    parts = [f"# {title}", *(f"- {sentence}" for sentence in lead), "", "![The same as a picture](table.png)"]
    for table in tables:
        parts += ["", f"## {heading(table)}", "", *([] if table.unseen else [notes[table.setting], ""]), *_lines(table)]
        if found := sources(table):
            parts += ["", *(f"[{number}] {source}.  " for number, source in enumerate(found, start=1))]
    if failures:
        parts += ["", "## Not finished", "", "| run | reason | command |", "|---|---|---|"]
        parts += [f"| {one.name} | {_cell(one.reason)} | `{_cell(one.command)}` |" for one in failures]
    return "\n".join(parts) + "\n"


def table_csv(tables: Sequence[Table]) -> str:
    """One line for each number, differences included."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    facts = ["setting", "over", "kind", "method", "name", "score", "class"]
    writer.writerow([*facts, "metric", "value", "deviation", "n", "source"])
    for table in tables:
        for row in table.rows:
            over = "unseen" if table.unseen else "all"
            for (metric, name), (mean, deviation, n) in row.groups.items():
                facts = [table.setting, over, row.kind, row.method, row.name, row.score, name]
                spread = "" if deviation is None else repr(deviation)
                writer.writerow([*facts, metric, repr(mean), spread, n, row.source])
    return file.getvalue()


def _lines(table: Table) -> list[str]:
    headings = [column_heading(column, table) for column in table.columns]
    lines = ["| method (score) | " + " | ".join(headings) + " |", "|---" + "|---:" * len(table.columns) + "|"]
    for row in table.rows:
        cells = []
        for column in table.columns:
            shown = text(row, column, table)
            cells.append(f"**{shown}**" if is_best(row, column, table) else shown)
        lines.append(f"| {label(row, table)} | " + " | ".join(cells) + " |")
    return lines


def _cell(words: str) -> str:
    """Words that stay in one cell."""
    return words.replace("|", "\\|")
