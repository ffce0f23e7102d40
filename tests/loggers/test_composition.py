"""`logger=`: one, several at once, and metrics.csv with all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.loggers.logger import Logger

from semigan_pl.settings import inherit
from tests.conftest import CONF, compose_config

OPTIONS = sorted(path.stem for path in (CONF / "logger").glob("*.yaml"))


@pytest.mark.parametrize("typed", [*OPTIONS, "[wandb,tensorboard]", "[tensorboard,wandb]", "[csv,wandb]", "[]"])
def test_metrics_csv_comes_with_every_choice_and_first(typed: str) -> None:
    config = compose_config(f"logger={typed}", "run=somewhere")
    chosen = {name for name in typed.strip("[]").split(",") if name}
    assert set(config.logger) == chosen | {"csv"}
    assert next(iter(config.logger)) == "csv"  # Lightning places files by its first logger
    assert {node.folder for node in config.logger.values()} == {"somewhere"}


def test_the_default_is_metrics_csv_alone() -> None:
    assert list(compose_config().logger) == ["csv"]


@pytest.mark.parametrize("typed", ["wandb", "[wandb,tensorboard]"])
def test_a_continued_run_may_take_other_loggers(typed: str) -> None:
    overrides = [f"logger={typed}", "logger.wandb.tags=[again]"]
    earlier = OmegaConf.to_container(compose_config(), resolve=False)
    settled = inherit(compose_config(*overrides), earlier, overrides)  # type: ignore[arg-type]
    assert set(settled.logger) == {"csv", *typed.strip("[]").split(",")}
    assert settled.logger.wandb.tags == ["again"]


def test_loggers_are_built_without_a_trace(tmp_path: Path) -> None:
    """What was typed may still turn out to make no sense: then nothing is left behind."""
    config = compose_config("logger=wandb", f"run={tmp_path / 'run'}")
    loggers = list(instantiate(config.logger, _convert_="all").values())
    assert len(loggers) == 2
    assert all(isinstance(logger, Logger) for logger in loggers)
    assert not (tmp_path / "run").exists()
