"""task=fit: train, calibrate on validation, test once, report."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from semigan_pl.atomic import replacing, write_bytes, write_json
from semigan_pl.callbacks.checkpoint import save_last
from semigan_pl.callbacks.journal import FOLDER
from semigan_pl.callbacks.run_record import RunRecord
from semigan_pl.callbacks.score_writer import ScoreWriter
from semigan_pl.callbacks.timing import Timing
from semigan_pl.checks import whole
from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.loggers.curves import CurveLogger
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.report.page import write_report
from semigan_pl.report.summary import print_summary
from semigan_pl.settings import checkpoint_path
from semigan_pl.tasks import half_precision
from semigan_pl.tasks.earlier import check_continuable, check_unseen, take_gan
from semigan_pl.tasks.facts import measured, run_facts
from semigan_pl.tasks.launched import is_first_here
from semigan_pl.tasks.multirun import is_multirun
from semigan_pl.tasks.processes import is_first, leave_together, processes_to_start, run_in_processes, settle_devices
from semigan_pl.tasks.quiet import quieten
from semigan_pl.tasks.settle import settle
from semigan_pl.tasks.training import TRAINED, curves_taken_over, shared_training, training_hash


class Parts(NamedTuple):
    """What a run is made of."""

    data: AnomalyDataModule
    model: AnomalyModule
    trainer: pl.Trainer
    scores: ScoreWriter
    timing: Timing


def fit(config: DictConfig) -> float | None:
    """Trains, calibrates, tests and reports; returns the objective. Leaves the files described in the README."""
    config, typed = settle(config)
    settle_devices(config)
    with shared_training(config):
        return fit_settled(config, typed)


def fit_settled(config: DictConfig, typed: list[str]) -> float | None:
    """The same, where it is settled what to do and where to begin."""
    folder = Path(config.run)
    parts = build(config)
    if is_first_here():
        parts.data.prepare_data()
    if is_first():  # all that was typed makes sense: only now an earlier run in this folder is touched
        (folder / "metrics.json").unlink(missing_ok=True)  # marks a finished run, which this one is not yet
        for name, content in (("config", config), ("overrides", OmegaConf.create(typed))):
            with replacing(folder / ".hydra" / f"{name}.yaml") as partial:
                OmegaConf.save(content, partial)
        Console().print(announcement(parts.data), soft_wrap=True)
        if sizes := network_sizes(parts.model):
            Console().print(sizes, soft_wrap=True)
            if slow := half_precision.advice(parts.trainer):
                Console().print(slow, soft_wrap=True)
    with continuable(folder):
        if n := processes_to_start(config):
            run_in_processes(train_alone, plain(config), n)
        else:
            train(config, parts)
            leave_together()
    if not is_first():
        return None
    print_summary(folder, Console())
    objective: float | None = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["objective"]
    return objective


def train_alone(config: dict[str, Any]) -> None:
    """The training of one of several processes, from the settled config alone."""
    quieten()
    settled = OmegaConf.create(config)
    assert isinstance(settled, DictConfig)
    train(settled, build(settled))


def build(config: DictConfig) -> Parts:
    """Everything that a run needs; raises where something typed makes no sense."""
    pl.seed_everything(whole("seed", config.seed, least=0), verbose=False)
    data = instantiate(config.data.module, _convert_="all")
    model = instantiate(config.model, _convert_="all")
    trainer, scores, timing = make_trainer(config)
    check_objective(config.objective, model)
    if config.encoding is not None and not getattr(model, "encodes", False):
        raise ValueError(f"encoding= is of no use to model={config.model.name}: leave it out")
    if config.features is not None and not model.reads_features:
        raise ValueError(f"features= is of no use to model={config.model.name}: leave it out")
    model.check_known(len(data.splits.train_known))
    try:
        model.configure_optimizers()  # Lightning would only come to it in the training
    except TypeError as error:
        raise InstantiationException("the optimizers cannot be made") from error
    except ValueError as error:
        raise ValueError(f"the optimizers cannot be made ({error}): correct optimizer.*") from error
    if (checkpoint := checkpoint_path(config)) is not None:
        check_continuable(checkpoint, model, data)
    elif (earlier_gan := OmegaConf.select(config, "model.gan_checkpoint")) is not None:
        take_gan(Path(earlier_gan), config, model, data)
    else:
        model.fetch(Path(config.data.cache_dir) / "features", lambda content: check_unseen(content, data))
    return Parts(data, model, trainer, scores, timing)


def train(config: DictConfig, parts: Parts) -> None:
    """Training, calibration, test, and the files of the run; metrics.json comes last."""
    data, model, trainer, scores, timing = parts
    folder, facts = Path(config.run), run_facts(config, model)
    trained = folder / TRAINED
    with closed(trainer):
        for logger in trainer.loggers:
            logger.log_hyperparams(plain(config))
        if trainer.is_global_zero:
            trained.unlink(missing_ok=True)
            show_curves_taken_over(trainer, folder)
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint_path(config))
        if trainer.is_global_zero:
            write_bytes(trained, training_hash(config).encode())
        trainer.validate(model, datamodule=data, verbose=False)
        save_last(trainer)  # now with calibration
        trainer.test(model, datamodule=data, verbose=False)
        if not trainer.is_global_zero:
            return
        write_json(folder / "data.json", data.summary())
        metrics = scores.metrics | measured(model, timing, len(data.splits.test) - len(data.scored)) | facts
        metrics["objective"] = metrics[config.objective]
        write_report(folder, metrics)
        for logger in trainer.loggers:
            if hasattr(logger, "log_run"):
                logger.log_run(folder, metrics)
        write_json(folder / "metrics.json", metrics)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)  # until here a killed run would have scored all anew


def show_curves_taken_over(trainer: pl.Trainer, folder: Path) -> None:
    """Sends the curves of a training that another job has made to all loggers but metrics.csv, which has them."""
    others = [logger for logger in trainer.loggers if not isinstance(logger, CurveLogger)]
    for row, step in curves_taken_over(folder):
        for logger in others:
            logger.log_metrics(row, step)


def make_trainer(config: DictConfig) -> tuple[pl.Trainer, ScoreWriter, Timing]:
    """The trainer, and those of its callbacks that know what the run measured."""
    callbacks = dict(instantiate(config.callbacks, _convert_="all"))
    record = RunRecord(plain(config))
    loggers = list(instantiate(config.logger, _convert_="all").values())
    trainer = instantiate(config.trainer, callbacks=[*callbacks.values(), record], logger=loggers)
    return trainer, callbacks["score_writer"], callbacks["timing"]


def plain(config: DictConfig) -> dict[str, Any]:
    """The config as plain containers, interpolations left as they are."""
    return OmegaConf.to_container(config, resolve=False)  # type: ignore[return-value]


@contextmanager
def closed(trainer: pl.Trainer) -> Iterator[None]:
    """Ends the runs of the loggers however the run ends: the next job of a multirun gets its own."""
    try:
        yield
    finally:
        for logger in trainer.loggers:
            if hasattr(logger, "close"):
                logger.close()


@contextmanager
def continuable(folder: Path) -> Iterator[None]:
    """Says how to go on with a run that was interrupted. Lightning turns Ctrl-C into SystemExit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if is_first() and not is_multirun() and (folder / "checkpoints" / "last.ckpt").is_file():
            print(f"\nStopped. To continue: python run.py 'run={folder}' checkpoint=last", file=sys.stderr)
        raise


def check_objective(objective: str, model: Any) -> None:
    """Raises ValueError unless a sweep would optimise something that exists, on validation."""
    possible = ["val/auroc", *(f"val/auroc_{name}" for name in model.decision.names(model.terms))]
    if objective not in possible:
        raise ValueError(f"objective={objective} is not measured on validation: use one of {', '.join(possible)}")


def announcement(data: Any) -> str:
    """What is used for what, before anything takes time."""
    train, known, val, val_known, test = (len(positions) for positions in data.splits)
    return (
        f"{data.source.name}: training on {train:,} unlabelled images and {known:,} known anomalies, calibrating on "
        f"{val:,} and {val_known:,}, testing on {test:,}."
    )


def network_sizes(model: Any) -> str:
    """How many parameters each player moves: a large image may make a larger network than one wants."""
    if not isinstance(model, LearnedModule):
        return ""
    moved = {player: model.network_of(player).parameters() for player in model.players}
    sizes = [f"{player} {sum(weight.numel() for weight in weights):,}" for player, weights in moved.items()]
    return f"{model.name}, parameters: {', '.join(sizes)}."
