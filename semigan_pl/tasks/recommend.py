"""+sweep=recommend: which gamma for this contamination and these known anomalies.

Pilot runs first, one per seed. Their scores of held-out images, whose labels nobody looks at, estimate the
contamination; gammas at and below 1 - estimate are run; validation chooses. Test images take no part. All of it is jobs
of a multirun: what is finished is not run again, so that a second start goes on where the first one stopped.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from semigan_pl.checks import number, share
from semigan_pl.command_line import as_typed, job_folder
from semigan_pl.evaluation.contamination import estimate_contamination, mean_share
from semigan_pl.evaluation.delong import ranked
from semigan_pl.evaluation.gamma_choice import Measured, choose, proposed_gammas
from semigan_pl.report.page import command
from semigan_pl.report.recommendation import (
    HeldOut,
    Recommendation,
    contamination_words,
    summary,
    write_recommendation,
)
from semigan_pl.settings import option_of
from semigan_pl.tasks.settle import without_sweep

GAMMA, SEED = "model.gamma", "seed"
Job = list[str]
Launch = Callable[[Sequence[Job]], list[tuple[Path, Any]]]


@dataclass(frozen=True)
class Settings:
    """How to look for gamma; see hydra_plugins/semigan_recommend."""

    pilot: float
    fractions: Sequence[float]
    apart: float
    level: float

    def __post_init__(self) -> None:
        share("hydra.sweeper.pilot", self.pilot, above_zero=True)
        for fraction in self.fractions:
            share("hydra.sweeper.fractions", fraction, above_zero=True)
        number("hydra.sweeper.apart", self.apart, least=0)
        share("hydra.sweeper.level", self.level, above_zero=True)


class Run(NamedTuple):
    """A job that was run."""

    folder: Path
    objective: float | None  # None: it failed


def recommend(
    overrides: Sequence[Override], settings: Settings, composed: Callable[[Job], DictConfig], launch: Launch
) -> None:
    """Runs what has to be run, prints what comes of it, and writes it into the multirun's folder.

    Args:
        overrides: as typed; a later one of an option wins.
        composed: the config of a job.
        launch: runs jobs; returns the folder of each, and its objective.

    Raises:
        ValueError: there is no gamma to look for, something else is swept, or a pilot failed.
    """
    fixed, seeds = typed(overrides)
    config = composed(fixed)
    check(config)
    runs: dict[float, list[Run]] = {}

    def run(*gammas: float) -> None:
        jobs = [[*fixed, *seed, f"{GAMMA}={gamma:g}"] for gamma in gammas for seed in seeds]
        found = iter([Run(*each) for each in launch(jobs)])
        runs.update({gamma: [next(found) for _ in seeds] for gamma in gammas})

    run(settings.pilot)
    held_out = [_held_out(pilot) for pilot in _finished(runs[settings.pilot])]
    estimates = [estimate_contamination(each.pool, each.known, settings.level) for each in held_out]
    contamination = mean_share([estimate.share for estimate in estimates])
    gammas = proposed_gammas(contamination, settings.pilot, settings.fractions, settings.apart)
    print("", *contamination_words(contamination, settings.level, estimates), sep="\n")
    print(f"Gammas to compare: {', '.join(f'{gamma:g}' for gamma in gammas)}.\n", flush=True)
    run(*(gamma for gamma in gammas if gamma != settings.pilot))
    measured = {gamma: of for gamma in gammas if (of := _measured(runs[gamma], config.objective))}
    choice = choose(measured, contamination)
    found = Recommendation(
        objective=config.objective,
        seeds=[" ".join(seed) for seed in seeds],
        level=settings.level,
        pilot=settings.pilot,
        held_out=held_out,
        estimates=estimates,
        contamination=contamination,
        objectives={gamma: [each.objective for each in runs[gamma]] for gamma in gammas},
        measured=measured,
        choice=choice,
        trained=[str(as_typed(each.folder)) for each in runs[choice.gamma]],
        command=command(without_sweep([*fixed, *seeds[0], f"{GAMMA}={choice.gamma:g}"])),
    )
    page = write_recommendation(_folder(config), found)
    print("", *summary(found), f"Why, and from what: {as_typed(page)}", sep="\n", flush=True)


def typed(overrides: Sequence[Override]) -> tuple[Job, list[Job]]:
    """What all jobs have in common, and what each seed adds. Raises ValueError where anything else is swept."""
    fixed, seeds = dict[str, str](), list[Job]([[]])
    for override in overrides:
        key = override.get_key_element()
        option = option_of(key)
        if option == GAMMA:
            raise ValueError(
                f"{GAMMA} is what +sweep=recommend looks for: leave it out (hydra.sweeper.pilot= is its first one)"
            )
        if override.is_sweep_override():
            if option != SEED or not override.is_discrete_sweep():
                raise ValueError(
                    f"{override.input_line} is swept: +sweep=recommend compares gammas under one setting, on several"
                    f" seeds: give {option} one value"
                )
            seeds = [[f"{key}={value}"] for value in override.sweep_string_iterator()]
        elif option == SEED:
            seeds = [[f"{key}={override.get_value_element_as_str()}"]]
        else:
            value = override.get_value_element_as_str()
            fixed[key] = f"{key}={value}" if not override.is_delete() else str(override.input_line)
    return list(fixed.values()), seeds


def check(config: DictConfig) -> None:
    """Raises ValueError where there is no gamma to recommend, or nothing to recommend it by."""
    if config.task != "fit":
        raise ValueError(f"+sweep=recommend trains: leave out task={config.task}")
    if OmegaConf.select(config, GAMMA) is None:
        raise ValueError(
            f"model={config.model.name} has no gamma: +sweep=recommend is for methods that train a discriminator,"
            " model=semigan for instance"
        )
    if config.data.known_anomalies == 0 and config.data.get("known_list") is None:
        raise ValueError(
            "data.known_anomalies=0: without known anomalies there is only gamma=1 and nothing to choose; give some"
        )


def _finished(pilots: list[Run]) -> list[Run]:
    failed = [pilot for pilot in pilots if pilot.objective is None]
    if not failed:
        return pilots
    finished = failed[0].folder / "metrics.json"
    if finished.is_file() and json.loads(finished.read_text("utf-8"))["objective"] is None:
        raise ValueError(
            "no recommendation: validation holds no known anomaly, raise data.known_anomalies or data.validation_share"
        )
    raise ValueError(
        f"no recommendation: {len(failed)} of {len(pilots)} pilot runs failed, as listed, and without them the"
        " contamination cannot be estimated"
    )


def _held_out(run: Run) -> HeldOut:
    """Scores of a run's validation images."""
    labels, scores = _validation(run.folder, "score")
    return HeldOut(scores[labels == 0], scores[labels == 1])


def _validation(folder: Path, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Which validation images are known anomalies, (N,) 0/1, and a column of their scores, (N,)."""
    file = folder / "validation.csv"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing, an earlier version has made this run: remove its folder")
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    labels = np.array([row["kind"] == "known" for row in rows], dtype=np.int64)
    return labels, np.array([float(row[column]) for row in rows])


def _measured(runs: Sequence[Run], objective: str) -> Measured | None:
    """Mean of the objective over the seeds and its standard error: over seeds, or of one over other validation images
    (DeLong); None where a run is missing."""
    values = [run.objective for run in runs if run.objective is not None]
    if len(values) < len(runs):
        return None
    if len(values) > 1:
        return Measured(statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)))
    labels, scores = _validation(runs[0].folder, objective.removeprefix("val/auroc").lstrip("_") or "score")
    area = ranked(np.arange(len(labels)), labels, scores)
    return Measured(values[0], 0.0 if area is None else float(np.sqrt(np.sum(area.influence**2))))


def _folder(config: DictConfig) -> Path:
    """Beside the jobs, and named like them by what is typed: another setting is another question."""
    place = config.hydra.job.override_dirname
    return Path(config.hydra.sweep.dir) / job_folder(",".join(["recommendation", *([place] if place else [])]))
