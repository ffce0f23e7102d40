"""Which records of runs made elsewhere are those of runs that a table plans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from semigan_pl.command_line import PATHS
from semigan_pl.report.comparison_records import Record
from semigan_pl.settings import option_of
from semigan_pl.tasks.study import Job
from semigan_pl.tasks.table_plan import Plan


def made_with(job: Job) -> list[str]:
    """What is typed for a run, but for where things lie on this machine."""
    return [override for override in job.overrides if option_of(override) not in PATHS]


def fitting(records: Iterable[Record], plan: Plan, folder: Path) -> tuple[dict[Path, Record], int]:
    """The records of planned runs by the folder that such a run has in the table's; and how many others there are.

    Others were made with other options, or do not hold what the table shows.
    """
    found, others = dict[Path, Record](), 0
    for record in records:
        place = folder / record.place
        if _fits(record, plan, place):
            found[place] = record
        else:
            others += 1
    return found, others


def _fits(record: Record, plan: Plan, place: Path) -> bool:
    if place not in plan.jobs or record.overrides != made_with(plan.jobs[place]):
        return False
    known = plan.known.get(place)
    return all(
        f"test/{metric}" in record.run.metrics and (known is None or known in record.run.without.get(metric, {}))
        for metric in plan.layout.metrics
    )
