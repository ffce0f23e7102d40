"""What of a table is finished and what is not: on the screen, and in the files of its folder."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from semigan_pl.atomic import replacing
from semigan_pl.progress import duration
from semigan_pl.report.comparison_page import write_comparison
from semigan_pl.report.comparison_protocol import protocol
from semigan_pl.report.comparison_records import RECORDS, Record, read_records, write_records
from semigan_pl.report.comparison_runs import Comparison, FinishedRun, read_finished
from semigan_pl.report.comparison_words import Failure
from semigan_pl.settings import option_of
from semigan_pl.tasks.forecast import Forecast, Kind
from semigan_pl.tasks.study import Job, Outcome, State, foreign, state_of
from semigan_pl.tasks.table_plan import Plan
from semigan_pl.tasks.table_records import fitting, made_with

REDRAWN = 60.0  # seconds between two drawings while runs end
ELSEWHERE = "finished elsewhere"  # state of a run of which there is a record and no folder


class Standing:
    """Takes in how the runs end, and writes the table and `runs.csv` anew each time.

    Args:
        folder: of the table.
        at_once: how many runs go side by side; 0: none is started.
        records: files with records of runs that need not be made again.

    Attributes:
        left: the wanted jobs that are not finished.

    Raises FileNotFoundError or ValueError for a file without records.
    """

    def __init__(self, folder: Path, title: str, plan: Plan, at_once: int, records: Sequence[Path] = ()) -> None:
        self.folder, self.title, self.plan = folder, title, plan
        self._console = Console(stderr=True)
        self._bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[left]}")),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self.states = {place: state_of(job) for place, job in plan.jobs.items()}
        self.runs: dict[Path, FinishedRun] = {}
        self._seconds, self._reasons = self._earlier()
        self._known = plan.known
        for place, state in self.states.items():
            self._read(place, state)
        self._take_over([record for file in records for record in read_records(file)])
        self.left = self._to_do()
        self._ended, self._failed, self._drawn = 0, 0, time.monotonic()
        n_done = len(plan.wanted) - len(self.left)
        self.say(f"{len(plan.wanted)} runs: {n_done} finished, {len(self.left)} to do. Everything is in {folder}.")
        hints = {name: method.seconds or {} for name, method in plan.methods.items()}
        earlier = [(self._kind(plan.jobs[p]), self._seconds[p]) for p in self.runs if p in self._seconds]
        kinds = {job.folder: self._kind(job) for job in self.left}
        self._forecast = Forecast(kinds, earlier, hints, at_once)
        if at_once and self.left:
            self.say(self._forecast.sentence())
        self._write(draw=False)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """A bar on the screen, where there is one."""
        with self._bar:
            self._bar.add_task("Runs", total=len(self.left), left=self._pace())
            yield

    def say(self, sentence: str) -> None:
        """Above the bar, or as a line of a log file."""
        self._console.print(Text(sentence), soft_wrap=True)

    def take(self, outcome: Outcome) -> None:
        """Of a run that has just ended."""
        place = outcome.job.folder
        self.states[place] = state_of(outcome.job)
        self._reasons.pop(place, None)
        self._seconds[place] = self._seconds.get(place, 0.0) + outcome.seconds  # of all its parts
        if outcome.failure is not None:
            self._reasons[place] = outcome.failure
            self._failed += 1
        self._read(place, self.states[place])
        self._ended += 1
        self._forecast.take(place, self._seconds[place] if place in self.runs else None)
        self._write(draw=time.monotonic() - self._drawn >= REDRAWN)
        self.say(f"{self._name(place)}: {self._result(place)} ({duration(outcome.seconds)}); {self._pace()}")
        for task in self._bar.tasks:
            self._bar.update(task.id, completed=self._ended, left=self._pace())

    def stop(self) -> None:
        """Where it is interrupted: some runs may have ended in the last moment, others have begun."""
        for job in self.left:
            self.states[job.folder] = state_of(job)
            self._read(job.folder, self.states[job.folder])
        self._write(draw=True)
        self.say("Stopped. The same command goes on: finished runs stay, begun ones are continued.")

    def conclude(self) -> None:
        """Says where the table is. Raises ValueError where there is nothing to show."""
        if not self.runs:
            first = next(iter(self._reasons.values()), "none was started")
            raise ValueError(f"no run of {self.folder} is finished: {first}")
        self._write(draw=True)
        if self._failed:
            self.say(f"{self._failed} runs failed; the reasons are in {self.folder / 'runs.csv'}. They are tried again")
        Console().print(Text(f"Table: {self.folder / 'table.html'}", style="bold"), soft_wrap=True)

    def _read(self, place: Path, state: State) -> None:
        if state is State.FINISHED:
            try:
                self.runs[place] = read_finished(place, self.plan.layout.metrics, self._known.get(place))
            except (OSError, ValueError) as error:
                self._reasons[place] = str(error)
        elif state is State.FOREIGN:
            self._reasons[place] = foreign(self.plan.jobs[place])

    def _take_over(self, records: Sequence[Record]) -> None:
        """Runs that were made elsewhere count where there is none here."""
        found, others = fitting(records, self.plan, self.folder)
        for place, record in found.items():
            if place in self.runs or self.states[place] is State.FOREIGN:
                continue
            self.runs[place] = record.run
            self._reasons.pop(place, None)
            if record.seconds is not None:
                self._seconds[place] = record.seconds
        if others:
            self.say(f"{others} of {len(records)} records are left out: they are of other options or other metrics.")

    def _to_do(self) -> list[Job]:
        """What is wanted and not finished, and what it needs: of that a record is not enough."""
        missing = [job for job in self.plan.wanted if job.folder not in self.runs]
        needed = {job.needs for job in missing}
        here = {place for place, state in self.states.items() if state is State.FINISHED}
        wanted = self.plan.wanted
        return [job for job in wanted if job in missing or (job.folder in needed and job.folder not in here)]

    def _records(self) -> Iterator[Record]:
        """Of all finished runs, those from elsewhere too."""
        for place in self.plan.jobs:
            if place in self.runs:
                name = place.relative_to(self.folder).as_posix()
                yield Record(name, made_with(self.plan.jobs[place]), self._seconds.get(place), self.runs[place])

    def _name(self, place: Path) -> str:
        return " ".join(place.relative_to(self.folder).parts)

    def _result(self, place: Path) -> str:
        if place in self._reasons:
            return f"failed: {self._reasons[place]}"
        values = {heading: self.runs[place].value(name) for name, heading in self.plan.layout.metrics.items()}
        return ", ".join(f"no {name}" if value is None else f"{name} {value:.3f}" for name, value in values.items())

    def _pace(self) -> str:
        """How far the runs have come, and the time left."""
        text = f"{self._ended} of {len(self.left)} runs"
        seconds = self._forecast.seconds_left()
        return text if seconds is None else f"{text}, {duration(seconds)} left"

    def _kind(self, job: Job) -> Kind:
        setting, method, *_ = job.folder.relative_to(self.folder).parts
        budgets = [override.partition("=")[2] for override in job.overrides if option_of(override) == "budget"]
        return Kind(setting, method, budgets[0] if budgets else None)

    def _earlier(self) -> tuple[dict[Path, float], dict[Path, str]]:
        """Seconds and reasons that an earlier start has noted."""
        file = self.folder / "runs.csv"
        if not file.is_file():
            return {}, {}
        with file.open(newline="", encoding="utf-8") as lines:
            rows = {self._place(row): row for row in csv.DictReader(lines)}
        seconds = {place: float(row["seconds"]) for place, row in rows.items() if row["seconds"]}
        unfinished = {place for place, state in self.states.items() if state is not State.FINISHED}
        return seconds, {place: row["reason"] for place, row in rows.items() if row["reason"] and place in unfinished}

    def _place(self, row: dict[str, str]) -> Path:
        return self.folder / row["setting"] / row["method"] / row["class"] / f"seed={row['seed']}"

    def _write(self, draw: bool) -> None:
        """The table, as far as there is something to show, and every run that was begun or is wanted."""
        wanted = {job.folder for job in self.plan.wanted}
        with replacing(self.folder / "runs.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
            measured = self.plan.layout.metrics
            facts = ("setting", "method", "class", "seed", "state")
            writer = csv.DictWriter(file, (*facts, *measured, "seconds", "reason", "command"))
            writer.writeheader()
            for place, job in self.plan.jobs.items():
                begun = place in self.runs or self.states[place] is not State.NEW
                if begun or place in wanted or place in self._reasons:
                    writer.writerow(self._row(place, job.command))
        write_records(self.folder / RECORDS, self._records())
        if not self.runs:
            return
        titles = {name: setting.title for name, setting in self.plan.settings.items()}
        failures = [Failure(self._name(p), why, self.plan.jobs[p].command) for p, why in self._reasons.items()]
        finished = f"{len(self.runs)} of {len(self.plan.jobs)} planned runs are finished, {len(failures)} failed."
        lead = [*protocol(list(self.runs.values()), self._common(), self.plan.layout), finished]
        comparison = Comparison(titles, self.plan.cells, self.runs, self.plan.references, self.plan.layout)
        write_comparison(self.folder, self.title, lead, comparison, failures, draw)
        self._drawn = time.monotonic() if draw else self._drawn

    def _row(self, place: Path, command: str) -> dict[str, object]:
        setting, method, name, seed = place.relative_to(self.folder).parts
        facts: dict[str, object] = {
            "setting": setting,
            "method": method,
            "class": name,
            "seed": seed.removeprefix("seed="),
        }
        state = "failed" if place in self._reasons else self.states[place].value
        if place in self.runs:
            state = self.states[place].value if self.states[place] is State.FINISHED else ELSEWHERE
            facts |= {metric: self.runs[place].value(metric) for metric in self.plan.layout.metrics}
        seconds = round(self._seconds[place], 1) if place in self._seconds else None
        reason = self._reasons.get(place)
        return facts | {"state": state, "seconds": seconds, "reason": reason, "command": command}

    def _common(self) -> list[str]:
        """The overrides that all finished runs share, but for where things lie on this machine."""
        first, *others = (made_with(self.plan.jobs[place]) for place in self.runs)
        return [override for override in first if all(override in overrides for overrides in others)]
