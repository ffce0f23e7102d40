"""Finished runs as a comparison needs them: what was measured, on what, and with which settings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

from semigan_pl.evaluation.metrics import auroc, average_precision, f1_max, f1_max_inlier

JSON = ("metrics.json", "data.json")
PROTOCOL = ("score", "seed", "git", "versions", "train/images_seen")  # of metrics.json, beside what is measured
METRICS = {metric.__name__: metric for metric in (auroc, average_precision, f1_max, f1_max_inlier)}


class Layout(NamedTuple):
    """What a table shows of each run."""

    metrics: dict[str, str]  # name among METRICS -> heading, in the order in which they stand side by side
    class_label: str  # heading of a class, whose name takes the place of {}
    mean: bool  # a last column over the classes


class Cell(NamedTuple):
    """One measurement that a table wants. Several cells may be of one run: their folders are the same then."""

    setting: str
    method: str
    column: str  # the normal class
    seed: str
    folder: Path
    known: str | None  # the one class that is known in this setting; None: the setting tells none apart
    home: str  # the setting that the run was made in: another one where the method ignores what differs


@dataclass(frozen=True)
class Reference:
    """Numbers of somebody else, or of another program."""

    setting: str | list[str]  # or several that they are held against
    by: str  # whose they are
    values: dict[Any, float]  # by column; `mean` where only the mean is known
    source: str
    method: str | None = None  # the row that they stand beside; None: a row of their own
    unseen: bool = False  # over the classes never known; False: over all anomalies
    deviation: float | None = None  # of the mean
    metric: str = "auroc"  # what is the same but for the metric becomes one row

    @property
    def settings(self) -> list[str]:
        """All settings that the numbers are held against."""
        return [self.setting] if isinstance(self.setting, str) else list(self.setting)

    def value(self, column: str) -> float | None:
        """The number of a column, None where there is none."""
        return {str(name): value for name, value in self.values.items()}.get(column)


@dataclass(frozen=True)
class FinishedRun:
    """What of a finished run's files a comparison needs; `comparison_records` keeps it as a line of text."""

    metrics: dict[str, Any]  # those of METRICS that are shown as test/..., and what the protocol says
    data: dict[str, Any]
    settings: dict[str, Any]  # see `_settings`
    without: dict[str, dict[str, float | None]]  # metric -> class -> the metric without the anomalies of this class

    def value(self, metric: str) -> float | None:
        """A metric of the method's one score, over all test images."""
        value = self.metrics.get(f"test/{metric}")
        return None if value is None else float(value)

    def unseen(self, metric: str, known: str) -> float | None:
        """The same without the anomalies of a class."""
        return self.without[metric][known]


class Comparison(NamedTuple):
    """All that a comparison is made from."""

    titles: Mapping[str, str]  # of the settings, in the order in which they are shown
    cells: Sequence[Cell]  # all that are planned
    runs: Mapping[Path, FinishedRun]  # those that are finished, by folder
    references: Sequence[Reference]
    layout: Layout


def read_finished(folder: Path, metrics: Iterable[str], known: str | None) -> FinishedRun:
    """What the files of a run's folder say.

    Args:
        metrics: those that are shown, of METRICS.
        known: the class without which they are shown as well.

    Raises FileNotFoundError or ValueError where the run is not finished or a file is damaged.
    """
    try:
        measured, data = (json.loads((folder / name).read_text(encoding="utf-8")) for name in JSON)
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"))
        with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        labels = np.array([int(row["label"]) for row in rows])
        scores = np.array([float(row["score"]) for row in rows])
        kept = (labels == 0) | np.array([row["class"] != known for row in rows])
        names = list(metrics)
        without = {name: {} if known is None else {known: METRICS[name](labels[kept], scores[kept])} for name in names}
        shown = [*PROTOCOL, *(f"test/{name}" for name in names)]
        return FinishedRun({name: measured.get(name) for name in shown}, data, _settings(config), without)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"a file of the run {folder} is damaged ({error}): remove the folder to train again"
        ) from error


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the protocol says of a run's config."""
    size = str(config["network"]["size"])
    width = config["network_sizes"][size]["width"]
    model = config.get("model") or {}
    return {
        "network": size,
        "width": width,
        "classical": config.get("features") is not None,  # a baseline that is fitted to features, once
        "transductive": model.get("protocol") == "transductive",
    }
