"""Finished runs as lines of text: for tables from several machines, and for those that outlive the runs' folders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from semigan_pl.atomic import write_bytes
from semigan_pl.report.comparison_runs import FinishedRun

RECORDS = "records.jsonl"  # in a table's folder


class Record(NamedTuple):
    """A finished run, wherever its files may be."""

    place: str  # setting/method/class/seed=N: its folder within that of its table
    overrides: list[str]  # what was typed for it, but for where things lie
    seconds: float | None  # it took
    run: FinishedRun


def write_records(file: Path, records: Iterable[Record]) -> None:
    """Writes the file anew, a line of JSON for each run."""
    lines = [json.dumps(record._replace(run=asdict(record.run))._asdict()) + "\n" for record in records]  # type: ignore[arg-type]
    write_bytes(file, "".join(lines).encode())


def read_records(file: Path) -> list[Record]:
    """What `write_records` has written. Raises FileNotFoundError, or ValueError for a line that is no record."""
    if not file.is_file():
        raise FileNotFoundError(f"table.records names {file}, which is not there: give the {RECORDS} of a table")
    records = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            fields = json.loads(line)
            records.append(Record(**(fields | {"run": FinishedRun(**fields["run"])})))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"line {number} of {file} is no record of a run ({error}): give the {RECORDS} of a table"
            ) from error
    return records
