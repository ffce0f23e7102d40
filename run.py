"""One experiment: train, calibrate on validation, test once, report. `python run.py --help` lists the options."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from semigan_pl.atomic import replacing
from semigan_pl.callbacks.run_record import RunRecord
from semigan_pl.callbacks.score_writer import ScoreWriter
from semigan_pl.callbacks.timing import Timing
from semigan_pl.report.page import write_report
from semigan_pl.report.summary import print_summary
from semigan_pl.settings import checkpoint_path, continued, inherit, read_checkpoint

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "scikit-learn", "numpy")
BAD_INPUT = (ValueError, FileNotFoundError, InstantiationException)  # shown as one sentence, without a traceback


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="config")
def main(config: DictConfig) -> float | None:
    try:
        quieten()
        if config.task not in TASKS:
            raise ValueError(f"task={config.task} is unknown: use one of {', '.join(TASKS)}")
        config.run = HydraConfig.get().runtime.output_dir  # a multirun job's folder is Hydra's choice
        return TASKS[config.task](config)
    except BAD_INPUT as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        sys.exit(f"error: {sentence(error)}")


def settle(config: DictConfig) -> DictConfig:
    """The config that this training really uses, written to the run's folder beside what was typed."""
    folder, typed = Path(config.run) / ".hydra", list(HydraConfig.get().overrides.task)
    path = checkpoint_path(config)
    if path is not None:
        config = inherit(config, read_checkpoint(path)["config"], typed)
    if config.checkpoint == "last":
        typed = continued(OmegaConf.load(folder / "overrides.yaml"), typed)
    for name, content in (("config", config), ("overrides", OmegaConf.create(typed))):
        with replacing(folder / f"{name}.yaml") as partial:
            OmegaConf.save(content, partial)
    return config


def fit(config: DictConfig) -> float | None:
    """Trains, calibrates, tests and reports; returns the objective. Leaves the files described in the README."""
    config = settle(config)
    folder = Path(config.run)
    marker = folder / "metrics.json"  # of a finished run, which this one no longer is
    marker.unlink(missing_ok=True)
    pl.seed_everything(config.seed, verbose=False)
    data = instantiate(config.data.module, _convert_="all")
    model = instantiate(config.model, _convert_="all")
    trainer, scores, timing = make_trainer(config)

    trainer.fit(model, datamodule=data, ckpt_path=checkpoint_path(config))
    trainer.validate(model, datamodule=data, verbose=False)
    trainer.save_checkpoint(folder / "checkpoints" / "last.ckpt")  # now with calibration
    trainer.test(model, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return None

    write_json(folder / "data.json", data.summary())
    metrics = {**scores.metrics, **run_facts(config, model, timing, n_test=len(data.splits.test))}
    metrics["objective"] = metrics.get(config.objective)
    page = write_report(folder, metrics)
    write_json(marker, metrics)
    print_summary(folder, Console())
    assert page.is_file()
    objective: float | None = metrics["objective"]
    return objective


def report(config: DictConfig) -> None:
    """Makes the report of run=FOLDER again from its files."""
    folder = Path(config.run)
    write_report(folder)
    print_summary(folder, Console())


TASKS = {"fit": fit, "report": report}


def make_trainer(config: DictConfig) -> tuple[pl.Trainer, ScoreWriter, Timing]:
    """The trainer, and those of its callbacks that know what the run measured."""
    callbacks = dict(instantiate(config.callbacks, _convert_="all"))
    record = RunRecord(OmegaConf.to_container(config, resolve=False))  # type: ignore[arg-type]
    loggers = list(instantiate(config.logger, _convert_="all").values())
    trainer = instantiate(config.trainer, callbacks=[*callbacks.values(), record], logger=loggers)
    return trainer, callbacks["score_writer"], callbacks["timing"]


def run_facts(config: DictConfig, model: Any, timing: Timing, n_test: int) -> dict[str, Any]:
    """What `metrics.json` holds beside the metrics."""
    return {
        "train/images_seen": model.images_seen,
        "train/seconds": timing.train_seconds,
        "train/images_per_second": model.images_seen / timing.train_seconds if timing.train_seconds else None,
        "test/images_per_second": n_test / timing.test_seconds,
        "score": model.decision.score,
        "data": config.data.name,
        "model": config.model.name,
        "seed": config.seed,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "git": git_revision(),
    }


def git_revision() -> str | None:
    """The commit of this source tree, with `-dirty` where it has uncommitted changes; None outside git."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or None


def write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def quieten() -> None:
    """Silences what Lightning says to people who did not choose a progress bar, a sampler and a logger themselves."""
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")


def sentence(error: BaseException) -> str:
    """What went wrong, without Hydra's wrapping."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def quoted(argument: str) -> str:
    """run= and checkpoint= with their path in quotes: folders of a multirun hold `=` and `,`, which Hydra would parse."""
    key, _, path = argument.partition("=")
    return f'{key}="{path}"' if key in ("run", "checkpoint") and "=" in path and path[0] not in "'\"" else argument


if __name__ == "__main__":
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    main()
