"""task=table: every method on every class in every setting, each an ordinary run, and the table over them.

Started again, it goes on where it was stopped: what is finished is not made again, what failed is tried again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from semigan_pl.checks import number, whole
from semigan_pl.command_line import as_typed
from semigan_pl.tasks.standing import Standing
from semigan_pl.tasks.study import alone, ended_by_signals, work_off
from semigan_pl.tasks.table_plan import make_plan


def table(config: DictConfig) -> None:
    """Makes the runs that `config.table` wants and that are not finished; after each, its files are written anew."""
    if OmegaConf.select(config, "table") is None:
        raise ValueError("task=table needs a table: add +experiment=table_mnist, or +table=... with one of conf/table")
    folder = as_typed(Path(config.run))
    options: dict[str, Any] = OmegaConf.to_container(config.table, resolve=True)  # type: ignore[assignment]
    at_once = whole("table.at_once", options["at_once"], least=0)
    threads = whole("table.threads", options["threads"], least=1)
    patience = number("table.patience", options["patience"], least=0)
    files = options["records"]
    records = [Path(str(file)) for file in (files if isinstance(files, list) else [files]) if file is not None]
    plan = make_plan(options, HydraConfig.get().overrides.task, folder)
    with alone(folder), ended_by_signals():
        standing = Standing(folder, str(options["title"]), plan, at_once, records)
        try:
            with standing.shown():
                work_off(standing.left if at_once else [], at_once, threads, patience, standing.take)
        except KeyboardInterrupt:
            standing.stop()
            raise
        standing.conclude()
