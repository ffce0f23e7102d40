"""A comparison as text: the protocol in words, markdown for people, a csv for programs."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from semigan_pl.report.comparison import MEAN, Row, Table
from semigan_pl.report.comparison_runs import Cell, FinishedRun


class Failure(NamedTuple):
    """A run that did not finish."""

    name: str
    reason: str
    command: str


def span(values: Iterable[Any]) -> str:
    """Numbers as one or as a range; words one after another."""
    found = [value for value in values if value is not None]
    if not found:
        return "unknown"
    if not all(isinstance(value, (int, float)) for value in found):
        return ", ".join(dict.fromkeys(map(str, found)))
    low, high = min(found), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def protocol(runs: Sequence[FinishedRun], common: Sequence[str]) -> list[str]:
    """What holds for all finished runs, a sentence each, from their own files.

    Args:
        common: the overrides that all runs share.
    """
    channels = span("grey" if run.data["channels"] == 1 else "colour" for run in runs)
    sizes = {str(run.config["network"]["size"]): run.config["network_sizes"] for run in runs}
    networks = span(f"{size} (width {table[size]['width']})" for size, table in sizes.items())
    seeds = ", ".join(map(str, sorted({run.metrics["seed"] for run in runs})))
    counts = [run.data["counts"] for run in runs]
    tested = [_of_labels(run, "test") for run in runs]
    pixels = span(run.data["image_size"] for run in runs)
    return [
        f"Data: {span(run.data['name'] for run in runs)}, {pixels} px, {channels}; tested on"
        f" {span(normal for normal, _ in tested)} normal and {span(n for _, n in tested)} anomalous images, "
        f"calibrated on {span(sum(one['val'].values()) for one in counts)} unlabelled ones.",
        f"Training: {span(run.metrics['train/images_seen'] for run in runs)} unlabelled images seen, networks of size "
        f"{networks}.",
        "AUROC of one score for each method, the same in all rows, chosen before the test; the number of a class is the"
        f" mean and standard deviation over the seeds ({seeds}), the last column's over the classes.",
        f"All runs share: `{' '.join(common)}`; code {span(run.metrics.get('git') for run in runs)}, torch "
        f"{span(run.metrics['versions']['torch'] for run in runs)}.",
    ]


def note(cells: Sequence[Cell], runs: Mapping[Path, FinishedRun], titles: Mapping[str, str]) -> str:
    """What the finished runs of one setting were trained on, and which are borrowed from another; empty without any."""
    made = [cell for cell in cells if cell.home == cell.setting]
    sentences = (
        [_training_images([runs[place] for place in dict.fromkeys(cell.folder for cell in made or cells)])]
        if cells
        else []
    )
    known = defaultdict[str, dict[str, None]](dict)
    for cell in cells:
        if cell.known is not None:
            known[cell.known][cell.column] = None
    if known:
        named = "; ".join(f"{name} where {', '.join(columns)} is normal" for name, columns in known.items())
        sentences.append(f"Known class: {named}.")
    for home in dict.fromkeys(cell.home for cell in cells if cell.home != cell.setting):
        methods = ", ".join(dict.fromkeys(cell.method for cell in cells if cell.home == home))
        sentences.append(f"What ignores known anomalies ({methods}) is measured by its runs of “{titles[home]}”.")
    return " ".join(sentences)


def _training_images(runs: Sequence[FinishedRun]) -> str:
    sums = [{split: sum(counts.values()) for split, counts in run.data["counts"].items()} for run in runs]
    hidden = [run.data["hidden_anomalies"] for run in runs]
    shares = [round(100 * n / split["train"], 1) for n, split in zip(hidden, sums, strict=True)]
    secret = f", {span(hidden)} of them hidden anomalies ({span(shares)} %)," if any(hidden) else ""
    known, more = (span(split[name] for split in sums) for name in ("train_known", "val_known"))
    words = f" and {known} known anomalies ({more} more calibrate)" if any(s["train_known"] for s in sums) else ""
    return f"Trained on {span(split['train'] for split in sums)} unlabelled images{secret}{words}.".replace(",.", ".")


def text(row: Row, column: str, table: Table) -> str:
    """A cell as text; a dash where nothing is known."""
    group = row.groups.get(column)
    if group is None:
        return "–"
    if row.kind == "difference":
        return f"{group.mean:+.3f}"
    deviation = "" if group.deviation is None else f" ± {group.deviation:.3f}"
    usual = len(table.columns) - 1 if column == MEAN else table.n
    fewer = f" ({group.n})" if row.kind == "measured" and group.n < usual else ""
    return f"{group.mean:.3f}{deviation}{fewer}"


def heading(table: Table) -> str:
    """The title of a table."""
    return f"{table.title}{': classes never known' if table.unseen else ''}"


def sources(table: Table) -> list[str]:
    """The sources of a table, each once; their numbers are their places from 1 on."""
    return list(dict.fromkeys(row.source for row in table.rows if row.source))


def label(row: Row, table: Table) -> str:
    """What stands before a row; what belongs to the row above is indented."""
    if row.kind == "measured":
        return f"{row.name} ({row.score})"
    source = f" [{sources(table).index(row.source) + 1}]" if row.source else ""
    return f"{'↳ ' if row.method else ''}{row.name}{source}"


def is_best(row: Row, column: str, table: Table) -> bool:
    """Whether a method has the largest mean of a column, where several compete; over the classes: with none missing."""
    needed = len(table.columns) - 1 if column == MEAN else 1
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
    writer.writerow(
        ["setting", "over", "kind", "method", "name", "score", "class", "auroc", "deviation", "n", "source"]
    )
    for table in tables:
        for row in table.rows:
            for column, (mean, deviation, n) in row.groups.items():
                facts = [table.setting, "unseen" if table.unseen else "all", row.kind, row.method, row.name, row.score]
                spread = "" if deviation is None else repr(deviation)
                writer.writerow([*facts, column, repr(mean), spread, n, row.source])
    return file.getvalue()


def _lines(table: Table) -> list[str]:
    lines = ["| method (score) | " + " | ".join(table.columns) + " |", "|---" + "|---:" * len(table.columns) + "|"]
    for row in table.rows:
        cells = []
        for column in table.columns:
            shown = text(row, column, table)
            cells.append(f"**{shown}**" if is_best(row, column, table) else shown)
        lines.append(f"| {label(row, table)} | " + " | ".join(cells) + " |")
    return lines


def _of_labels(run: FinishedRun, split: str) -> tuple[int, int]:
    """Normal and anomalous images of a split."""
    counts, normal = run.data["counts"][split], run.data["normal_classes"]
    n_normal = sum(n for name, n in counts.items() if name in normal)
    return n_normal, sum(counts.values()) - n_normal


def _cell(words: str) -> str:
    """Words that stay in one cell."""
    return words.replace("|", "\\|")
