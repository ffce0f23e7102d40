"""One experiment: train, calibrate on validation, test once, report. `python run.py --help` lists the options."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from semigan_pl.atomic import replacing
from semigan_pl.callbacks.checkpoint import save_last
from semigan_pl.callbacks.run_record import RunRecord
from semigan_pl.callbacks.score_writer import ScoreWriter
from semigan_pl.callbacks.timing import Timing
from semigan_pl.report.page import write_report
from semigan_pl.report.summary import print_summary
from semigan_pl.settings import checkpoint_path, continued, inherit, read_checkpoint

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "scikit-learn", "numpy")
BAD_INPUT = (
    ValueError,
    FileNotFoundError,
    PermissionError,
    InstantiationException,
)  # shown as one sentence, without a traceback


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parent / "conf"), config_name="config")
def main(config: DictConfig) -> float | None:
    try:
        quieten()
        if config.task not in TASKS:
            raise ValueError(f"task={config.task} is unknown: use one of {', '.join(TASKS)}")
        config.run = HydraConfig.get().runtime.output_dir  # a multirun job's folder is Hydra's choice
        return TASKS[config.task](config)
    except BAD_INPUT as error:
        with suppress(OSError):
            Path(config.run).rmdir()  # if it is empty
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        message = f"error: {sentence(error)}"
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # leaving now would take the other jobs along
            print(message, file=sys.stderr)
            raise
        sys.exit(message)


def settle(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """The config that this training really uses, and what to type to get it."""
    typed = list(HydraConfig.get().overrides.task)
    path = checkpoint_path(config)
    if path is not None:
        inherited = inherit(config, read_checkpoint(path)["config"], typed)
        if not any(override.startswith(("run=", "name=")) for override in typed):
            inherited.run = renamed(config.run, inherited.name)
        config = inherited
    earlier = Path(config.run) / ".hydra" / "overrides.yaml"
    if config.checkpoint == "last":
        return config, continued(OmegaConf.load(earlier), typed)
    if earlier.is_file() and list(OmegaConf.load(earlier)) != typed:
        raise ValueError(f"{config.run} holds another run: choose another run=FOLDER, or continue it: checkpoint=last")
    return config, typed


def renamed(folder: str, name: str) -> str:
    """The folder of a run, with the name of the checkpoint's experiment in place of the default one's."""
    path = Path(folder)
    with suppress(OSError):
        path.rmdir()  # Hydra made it under the other name
    return str(path.parent.parent / name / path.name)


def fit(config: DictConfig) -> float | None:
    """Trains, calibrates, tests and reports; returns the objective. Leaves the files described in the README."""
    config, typed = settle(config)
    folder = Path(config.run)
    checkpoint = checkpoint_path(config)
    pl.seed_everything(config.seed, verbose=False)
    data = instantiate(config.data.module, _convert_="all")
    model = instantiate(config.model, _convert_="all")
    trainer, scores, timing = make_trainer(config)
    check_objective(config.objective, model)
    facts = run_facts(config, model)
    if checkpoint is not None:
        check_unseen(data, read_checkpoint(checkpoint)["data"])

    # all that was typed makes sense: only now an earlier run in this folder is touched
    marker = folder / "metrics.json"  # of a finished run, which this one is not yet
    marker.unlink(missing_ok=True)
    for name, content in (("config", config), ("overrides", OmegaConf.create(typed))):
        with replacing(folder / ".hydra" / f"{name}.yaml") as partial:
            OmegaConf.save(content, partial)
    Console().print(announcement(data), soft_wrap=True)
    with continuable(folder):
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
        trainer.validate(model, datamodule=data, verbose=False)
        save_last(trainer)  # now with calibration
        trainer.test(model, datamodule=data, verbose=False)
    if not trainer.is_global_zero:
        return None

    write_json(folder / "data.json", data.summary())
    metrics = scores.metrics | measured(model, timing, len(data.splits.test)) | facts
    metrics["objective"] = metrics[config.objective]
    write_report(folder, metrics)
    write_json(marker, metrics)
    print_summary(folder, Console())
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


@contextmanager
def continuable(folder: Path) -> Iterator[None]:
    """Says how to go on with a run that was interrupted. Lightning turns Ctrl-C into SystemExit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if (folder / "checkpoints" / "last.ckpt").is_file():
            print(f"\nStopped. To continue: python run.py 'run={folder}' checkpoint=last", file=sys.stderr)
        raise


def check_objective(objective: str, model: Any) -> None:
    """Raises ValueError unless a sweep would optimise something that exists, on validation."""
    possible = ["val/auroc", *(f"val/auroc_{name}" for name in model.decision.names(model.terms))]
    if objective not in possible:
        raise ValueError(f"objective={objective} is not measured on validation: use one of {', '.join(possible)}")


def check_unseen(data: Any, earlier: dict[str, Any]) -> None:
    """Raises ValueError if the test set holds images that the checkpoint was trained or calibrated on."""
    shared = np.isin(data.splits.test, earlier["used"]).sum() if earlier["name"] == data.source.name else 0
    if shared:
        raise ValueError(
            f"{shared} test images are among those that the checkpoint was trained on: keep its seed and its data.*"
            " options (data.root, data.test_limit and data.outlier_share may change)"
        )


def announcement(data: Any) -> str:
    """What is used for what, before anything takes time."""
    train, known, val, val_known, test = (len(positions) for positions in data.splits)
    return (
        f"{data.source.name}: training on {train:,} unlabelled images and {known:,} known anomalies, calibrating on "
        f"{val:,} and {val_known:,}, testing on {test:,}."
    )


def run_facts(config: DictConfig, model: Any) -> dict[str, Any]:
    """What `metrics.json` says of the run itself."""
    return {
        "score": model.decision.score,
        "data": config.data.name,
        "model": config.model.name,
        "seed": config.seed,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "git": git_revision(),
    }


def measured(model: Any, timing: Timing, n_test: int) -> dict[str, Any]:
    """What `metrics.json` says of time."""
    return {
        "train/images_seen": model.images_seen,
        "train/seconds": timing.train_seconds,
        "train/images_per_second": model.images_seen / timing.train_seconds if timing.train_seconds else None,
        "test/images_per_second": n_test / timing.test_seconds,
    }


def git_revision() -> str | None:
    """The commit of this source tree, with `-dirty` where it has uncommitted changes; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no git on this machine
        return None
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
    """A path in the quotes that Hydra wants: it would parse the `=` of a multirun's folder, blanks and accents."""
    key, _, path = argument.partition("=")
    is_path = key in ("run", "checkpoint", "data.root", "data.clutter", "data.cache_dir")
    return (
        f'{key}="{path}"'
        if is_path and re.search(r"[^\w./,~-]", path, re.ASCII) and path[0] not in "'\"$"
        else argument
    )


if __name__ == "__main__":
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    main()
