"""A job of a multirun: whatever becomes of it is in its folder, and nothing that goes wrong in it stops the others.

All this happens inside the function that a job calls, the only thing that Hydra's launchers and sweepers have in
common: they take it to other processes and machines, and most of them give up at the first exception.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from semigan_pl.atomic import write_bytes
from semigan_pl.command_line import BAD_INPUT, as_typed, sentence
from semigan_pl.report.sweep_files import FAILURE
from semigan_pl.tasks.held import held
from semigan_pl.tasks.multirun import Note, leave
from semigan_pl.tasks.settle import holds, inherited, typed_overrides
from semigan_pl.tasks.training import check_unchanged

OUTPUT = "output.log"  # in a job's folder: what it says, where others speak at the same time
ONE_BY_ONE = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
Task = Callable[[DictConfig], float | None]


def job(task: Task, config: DictConfig) -> float | None:
    """Does a task as a job of a multirun: skips what is finished, and says, keeps and reports why it failed.

    Returns the objective; None where it failed, which Optuna's sweeper takes for a failed trial (and nan not: it gives
    up the whole study).
    """
    folder, begun = Path(config.run), time.monotonic()
    try:
        if config.task != "fit":
            return _worked(task, config, begun)
        with held(folder / ".lock", f"{as_typed(folder)} is being worked on by another command: waiting for it"):
            if holds(folder, typed_overrides()) and (earlier := _metrics(folder)) is not None:
                check_unchanged(folder, inherited(config))
                objective: float | None = earlier["objective"]
                _tell(folder, f"finished earlier, {config.objective} {_number(objective)}")
                return objective
            (folder / FAILURE).unlink(missing_ok=True)
            return _worked(task, config, begun)
    except Exception as error:
        _fail(error, folder, time.monotonic() - begun)
        return None


def _worked(task: Task, config: DictConfig, begun: float) -> float | None:
    """Does the task, and tells what came of it."""
    folder = Path(config.run)
    with _heard_apart(folder):
        objective = task(config)
    said = f"{config.objective} {_number(objective)}" if config.task == "fit" else "done"
    _tell(folder, said, seconds=time.monotonic() - begun)
    return objective


@contextmanager
def _heard_apart(folder: Path) -> Iterator[None]:
    """Sends what a job says to its folder where others run beside it: bars of several jobs cannot be read."""
    if HydraConfig.get().launcher._target_ == ONE_BY_ONE:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    kept = {stream: os.dup(stream) for stream in (1, 2)}  # not only Python's: the job may start processes of its own
    with (folder / OUTPUT).open("a", encoding="utf-8", buffering=1) as file:
        try:
            for stream in kept:
                os.dup2(file.fileno(), stream)
            with redirect_stdout(file), redirect_stderr(file):
                yield
        finally:
            for stream, before in kept.items():
                os.dup2(before, stream)
                os.close(before)


def _metrics(folder: Path) -> dict[str, Any] | None:
    """What a finished run has measured; None for one that is not, or whose file is damaged."""
    with suppress(OSError, ValueError):
        content = json.loads((folder / "metrics.json").read_text("utf-8"))
        if isinstance(content, dict) and "objective" in content:
            return content
    return None


def _fail(error: Exception, folder: Path, seconds: float) -> None:
    """Leaves why a job failed where the multirun says it, and in the job's folder."""
    if isinstance(error, BAD_INPUT):
        reason, details = sentence(error, HydraConfig.get().overrides.task), ""
    else:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        details = "\n" + "".join(traceback.format_exception(error))
    _tell(folder, reason, seconds, failed=True)
    if _metrics(folder) is None:  # somebody else's finished run stays as it is
        write_bytes(folder / FAILURE, f"{reason}\n{details}".encode())


def _tell(folder: Path, said: str, seconds: float | None = None, failed: bool = False) -> None:
    hydra = HydraConfig.get()
    leave(hydra.callbacks["multirun"]["notes"], hydra.job.num, Note(str(as_typed(folder)), said, failed, seconds))


def _number(objective: float | None) -> str:
    return "undefined" if objective is None else f"{objective:.4g}"
