"""task=compare: one interactive page, and tables, over any finished runs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig
from rich.console import Console

from semigan_pl.command_line import as_typed
from semigan_pl.report.sweep_files import find_runs
from semigan_pl.report.sweep_page import write_sweep
from semigan_pl.settings import option_of

HOME = Path("outputs") / "compare"  # where run= names no other folder


def compare(config: DictConfig) -> None:
    """Compares the runs below `config.runs`, a folder, a pattern with wildcards, or a list of them; into run=FOLDER."""
    places = config.get("runs")
    if not places:
        raise ValueError("task=compare needs runs=FOLDER: a folder of runs, one with wildcards, or a list [A,B]")
    folders = find_runs([str(place) for place in places] if isinstance(places, ListConfig) else [str(places)])
    folder = _folder(Path(config.run))
    title = "Comparison of " + (", ".join(map(str, places)) if isinstance(places, ListConfig) else str(places))
    page = write_sweep(folder, title, folders)
    Console().print(f"{len(folders)} runs compared: {as_typed(page)}", markup=False, highlight=False, soft_wrap=True)


def _folder(run: Path) -> Path:
    """The folder that was named, or one below HOME: this is no run of the data set that the config names."""
    typed = {option_of(override) for override in HydraConfig.get().overrides.task}
    if typed & {"run", "name"}:
        return run
    with suppress(OSError):
        os.removedirs(run)  # with what is empty above it
    return HOME / run.name
