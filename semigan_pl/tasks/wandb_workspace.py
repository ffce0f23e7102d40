"""task=wandb_workspace: the workspace and the report of a W&B project, made or brought up to date."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from semigan_pl.command_line import CONF
from semigan_pl.loggers.wandb_panels import FURTHER, Found
from semigan_pl.loggers.wandb_session import connect, first_line, has_key
from semigan_pl.report.sweep_axes import CONTAMINATION, GAMMA
from semigan_pl.report.sweep_files import find_runs, read_sweep
from semigan_pl.report.sweep_settings import is_number
from semigan_pl.report.sweep_statistics import METRICS

CURVES = ("train/", "health/", "val/")  # what columns of metrics.csv begin with
COUNTS = ("train/images_seen", "train/seconds", "train/images_per_second")  # single numbers at the end of a run
NOTHING = (
    "holds no finished run that could be compared: make some with logger=wandb, and upload what was recorded offline "
    "(wandb sync RUN/wandb/offline-run-*)"
)
HOW = "python run.py task=wandb_workspace logger.entity=TEAM logger.project=PROJECT"


def wandb_workspace(config: DictConfig) -> None:
    """Makes both for the finished runs below `config.runs`, or for those that the project holds already.

    A second start changes the same two. Raises ValueError or ConnectionError, with what to do, where one of package,
    key, server, project and runs is missing.
    """
    if find_spec("wandb_workspaces") is None:
        raise ValueError("task=wandb_workspace needs a package that is not here: pip install wandb-workspaces")
    options = _options(config)
    local = config.get("runs")
    runs = list(local_runs(local)) if local else []  # before anything is asked of the server
    import wandb

    settings = wandb.setup(settings=wandb.Settings(silent=True)).settings
    if not has_key(settings):
        raise ValueError("task=wandb_workspace needs the API key of a W&B account: `wandb login` stores it")
    try:
        connect(settings, options.connect_timeout)
    except OSError as error:
        raise ConnectionError(f"W&B is not available ({error}): nothing was saved, start it again later") from error
    with _refused(settings.base_url):
        api = wandb.Api()
        entity, project = str(options.entity or api.default_entity), str(options.project)
        runs = runs if local else list(remote_runs(api, f"{entity}/{project}"))
    found = found_in(runs)
    if not found.contaminations or not found.metrics:
        raise ValueError(f"{f'runs={local}' if local else f'{entity}/{project}'} {NOTHING}")
    with _refused(settings.base_url):
        links = _saved(api, entity, project, found)
    with suppress(OSError):
        os.removedirs(config.run)  # Hydra made it, and nothing is in it
    for what, link in links.items():
        print(f"W&B {what}: {link}")


def _options(config: DictConfig) -> Any:
    """`logger.wandb.*` where logger=wandb is typed, else its defaults."""
    typed = config.logger.get("wandb")
    return typed if typed is not None else OmegaConf.load(CONF / "logger" / "wandb.yaml").wandb


Run = tuple[Mapping[str, Any], Mapping[str, Any], Iterable[str]]  # options in full, metrics, curves


def local_runs(places: Any) -> Iterator[Run]:
    """Finished runs in folders. Raises FileNotFoundError where a place holds none."""
    for run in read_sweep(find_runs([str(place) for place in places] if isinstance(places, ListConfig) else [places])):
        if not run.trouble:
            yield run.settings, {key: run.number(key) for key in METRICS}, _header(run.folder / "metrics.csv")


def _header(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def remote_runs(api: Any, path: str) -> Iterator[Run]:
    """Finished runs of a project, with their configs in one request for many."""
    for run in api.runs(path, filters={"state": "finished"}, lazy=False):
        names = ("data", "model", "loss", "network")
        parts = ((f"{name}.{key}", value) for name in names for key, value in _part(run.config, name))
        yield dict(parts) | {"max_images": run.config.get("max_images")}, run.summary_metrics, run.summary_metrics


def _part(config: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    part = config.get(name)
    return part.items() if isinstance(part, dict) else ()


def found_in(runs: Iterable[Run]) -> Found:
    """What is there to compare, each once and in order."""
    settings, measured, logged = list[Any](), list[Any](), list[Any]()
    for options, metrics, names in runs:
        settings.append(options)
        measured.append({key for key, value in metrics.items() if is_number(value)})
        logged.append(name for name in names if name.startswith(CURVES) and name not in COUNTS)
    names = sorted(set(chain(*logged)), key=lambda name: (CURVES.index(f"{name.partition('/')[0]}/"), name))
    there = set(chain(*measured))
    return Found(
        contaminations=_values(settings, CONTAMINATION),
        gammas=_values(settings, GAMMA),
        metrics={key: heading for key, heading in METRICS.items() if key in there},
        further=[key for key in FURTHER if len({str(one[key]) for one in settings if key in one}) > 1],
        curves=[name for name in names if name not in METRICS or name == "val/auroc"],
    )


def _values(settings: Iterable[Mapping[str, Any]], key: str) -> list[float]:
    values: list[Any] = [one.get(key) for one in settings]
    return sorted({float(value) for value in values if is_number(value)})


def _saved(api: Any, entity: str, project: str, found: Found) -> dict[str, str]:
    """Saves both over what an earlier start has saved; their addresses."""
    from semigan_pl.loggers.wandb_report import existing_report, make_report
    from semigan_pl.loggers.wandb_workspace import existing_workspace, make_workspace

    workspace = make_workspace(entity, project, found)
    workspace._internal_id = existing_workspace(entity, project)
    report = make_report(entity, project, found)
    report.id = existing_report(api.reports(f"{entity}/{project}"))
    return {"workspace": workspace.save().url, "report": report.save().url}


@contextmanager
def _refused(server: str) -> Iterator[None]:
    """Whatever W&B's packages raise, errors of many classes, becomes a sentence."""
    try:
        yield
    except Exception as error:
        said = f"W&B at {server} did not take it ({first_line(error)}): correct entity, project or key"
        raise ConnectionError(f"{said}, e.g. {HOW}") from error
