"""A study: many trainings, each an ordinary run in a folder of its own; what is finished is not made again."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from semigan_pl.command_line import CONF, quoted
from semigan_pl.settings import NOT_INHERITED, option_of

COMMAND = (sys.executable, str(CONF.parent / "run.py"))
LOG = "output.log"  # in a run's folder: what it said
TICK = 0.1  # seconds between two looks at the runs


class Job(NamedTuple):
    """One run that a study wants."""

    folder: Path
    overrides: tuple[str, ...]  # all but run=
    needs: Path | None = None  # the folder of a run that has to be finished before, as these overrides name it

    @property
    def typed(self) -> list[str]:
        """What one types to start it."""
        return [*self.overrides, f"run={self.folder}"]

    @property
    def command(self) -> str:
        """The same as a line for a shell."""
        return shlex.join(["python", "run.py", *self.typed])


class State(Enum):
    """How far a job has come, by the files in its folder."""

    NEW = "not started"
    INTERRUPTED = "interrupted"  # it has a checkpoint to go on from
    FINISHED = "finished"
    FOREIGN = "another command"  # the folder holds a run that something else was typed for


class Outcome(NamedTuple):
    """How a job ended."""

    job: Job
    seconds: float
    failure: str | None  # in one sentence; None: it is finished


def state_of(job: Job) -> State:
    """Where a job stands. All folders may have been moved since: `run=`, and what names `needs`, are not compared."""
    file = job.folder / ".hydra" / "overrides.yaml"
    if not file.is_file():
        return State.NEW
    earlier = [str(override) for override in OmegaConf.to_container(OmegaConf.load(file)) or []]
    places = {"run", *(option_of(one) for one in job.overrides if job.needs and str(job.needs) in one)}
    compared = [quoted(one) for one in job.overrides if option_of(one) not in places]
    if [one for one in earlier if option_of(one) not in places] != compared:
        return State.FOREIGN
    if (job.folder / "metrics.json").is_file():
        return State.FINISHED
    return State.INTERRUPTED if (job.folder / "checkpoints" / "last.ckpt").is_file() else State.NEW


def arguments(job: Job) -> list[str]:
    """What to type now: an interrupted run goes on, and takes along what its checkpoint does not bring."""
    if state_of(job) is not State.INTERRUPTED:
        return job.typed
    own = [override for override in job.overrides if option_of(override) in NOT_INHERITED]
    return [*own, f"run={job.folder}", "checkpoint=last"]


def work_off(
    jobs: Sequence[Job],
    at_once: int,
    threads: int,
    patience: float,
    after: Callable[[Outcome], None],
) -> None:
    """Runs the jobs, `at_once` side by side, in their order; whatever becomes of one, the others are run.

    A job that needs another one waits for it and lets others pass meanwhile; where that one fails, it fails too. Ends
    the running ones where it is interrupted, as Ctrl-C does: with `patience` seconds to end by themselves.

    Args:
        threads: of each run.
        after: is told of every job as it ends.
    """
    waiting, running = list(jobs), dict[subprocess.Popen[bytes], tuple[Job, float]]()
    failures = dict[Path, str]()
    try:
        while waiting or running:
            while len(running) < at_once and (job := _next(waiting, [job for job, _ in running.values()])) is not None:
                waiting.remove(job)
                if (reason := _obstacle(job, failures)) is not None:
                    failures[job.folder] = reason
                    after(Outcome(job, 0.0, reason))
                else:
                    running[_started(job, threads)] = (job, time.monotonic())
            for process in [process for process in running if process.poll() is not None]:
                job, begun = running.pop(process)
                outcome = Outcome(job, time.monotonic() - begun, _failure(job, process.returncode))
                if outcome.failure is not None:
                    failures[job.folder] = outcome.failure
                after(outcome)
            time.sleep(TICK)
    finally:
        _end(list(running), patience)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raises ValueError where somebody else works in this folder; an orphaned run of an earlier start counts too."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # the runs hold it as well, for as long as they live
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder} is being worked on by another command, or by a run that it left behind: wait for it or end"
                " it, or choose another run=FOLDER"
            ) from None
        yield


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A polite `kill`, or a closed terminal, does here what Ctrl-C does: else the runs would go on by themselves."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGINT]  # Ctrl-C too: a shell's `&` lets it be ignored, here and by every run
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def foreign(job: Job) -> str:
    """Why a job is not run where another one's files lie."""
    return f"{job.folder} holds a run of another command: remove it, or choose another run=FOLDER"


def _next(waiting: Sequence[Job], running: Sequence[Job]) -> Job | None:
    """The first job that need not wait for another one."""
    coming = {job.folder for job in (*waiting, *running)}
    return next((job for job in waiting if job.needs not in coming), None)


def _obstacle(job: Job, failures: Mapping[Path, str]) -> str | None:
    """Why a job cannot be started, in one sentence; None where nothing hinders it."""
    if state_of(job) is State.FOREIGN:
        return foreign(job)
    if job.needs is not None and job.needs in failures:
        return f"it needs the run {job.needs}, which failed: {failures[job.needs]}"
    return None


def _started(job: Job, threads: int) -> subprocess.Popen[bytes]:
    job.folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}  # one sentence
    with (job.folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [*COMMAND, *arguments(job)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment | {"OMP_NUM_THREADS": str(threads)},
            close_fds=False,  # so that it holds the lock of `alone`
            start_new_session=True,  # Ctrl-C comes here alone, which tells each of them once
        )


def _failure(job: Job, code: int) -> str | None:
    """The one sentence that a run ended with; else its last words."""
    if code == 0 and state_of(job) is State.FINISHED:
        return None
    if code == -signal.SIGKILL:
        return "it was killed (SIGKILL): often there is too little memory for so many runs at once"
    lines = (job.folder / LOG).read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    sentences = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    said = (sentences or lines or ["it said nothing"])[-1]
    return said if sentences else f"it ended with code {code}: {said}"


def _end(processes: Sequence[subprocess.Popen[bytes]], patience: float) -> None:
    """Asks the processes to end, as Ctrl-C does, and kills those that have not done so in time."""
    _signal(processes, signal.SIGINT)
    deadline = time.monotonic() + patience
    try:
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:  # also where a second Ctrl-C shows that nobody wants to wait
        _signal(processes, signal.SIGKILL)


def _signal(processes: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    """To the processes that still live, and to those that they have started."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, number)
