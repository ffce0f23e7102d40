"""The files of a run's folder as plain values. Only metrics.json must be there: a page is made of what there is."""

import csv
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

SCORE_COLUMNS = ("index", "path", "class", "label", "score", "decision")  # every further column is a score term
WITHOUT = "remove it, and the report is made without it"
NOT_TERMS = {"known", "unseen"}  # test/auroc_known and test/auroc_unseen are subsets of the test set, not terms


class Scores(NamedTuple):
    """One row per test image, in the order of scores.csv."""

    indices: np.ndarray  # (n,) int64, positions in the image source
    paths: list[str]
    classes: list[str]
    labels: np.ndarray  # (n,) int64, 1 = anomalous
    score: np.ndarray  # (n,) float64, higher = more anomalous
    decisions: np.ndarray | None  # (n,) int64, 1 = called anomalous; None without a threshold
    terms: dict[str, np.ndarray]  # (n,) float64 each


class Examples(NamedTuple):
    """Test images to look at."""

    indices: np.ndarray  # (k,) int64
    kind: np.ndarray  # (k,) str
    images: np.ndarray  # (k, C, H, W) uint8
    reconstructions: np.ndarray | None  # (k, C, H, W) in [-1, 1]
    maps: np.ndarray | None  # (k, 1, H, W) >= 0
    masks: np.ndarray | None = None  # (k, H, W) bool, True where defective
    has_mask: np.ndarray | None = None  # (k,) bool: whether the mask is known

    def defect(self, row: int) -> np.ndarray | None:
        """The defective pixels, (H, W) bool; None where there are none or they are not known."""
        if self.masks is None or self.has_mask is None or not self.has_mask[row] or not self.masks[row].any():
            return None
        mask: np.ndarray = self.masks[row]
        return mask


@dataclass(frozen=True)
class RunFiles:
    """Everything that a report may know about a run."""

    folder: Path
    metrics: dict[str, Any]
    scores: Scores | None
    curves: dict[str, np.ndarray]  # column name -> (steps,), nan where the file has no value
    data: dict[str, Any]
    examples: Examples | None
    samples: list[Path]  # grids of generator samples, in the order of training
    config: str
    overrides: list[str]

    def number(self, key: str) -> float | None:
        """The metric, or None where it is not defined in this run."""
        value = self.metrics.get(key)
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

    @property
    def chosen(self) -> str:
        """The name of the term that is the method's score."""
        return str(self.metrics.get("score") or "score")

    @property
    def terms(self) -> list[str]:
        """Names of all score terms, in the order of scores.csv."""
        names = list(self.scores.terms) if self.scores else []
        for key in self.metrics:
            split, _, name = key.partition("/auroc_")
            if split in ("val", "test") and name and "/" not in name and name not in NOT_TERMS:
                names.append(name)
        return list(dict.fromkeys(names))


def read_run(folder: Path, metrics: dict[str, Any] | None = None) -> RunFiles:
    """Reads a run's folder.

    Raises:
        FileNotFoundError: it holds no metrics.json and none are given, so the run did not finish.
        ValueError: a file is damaged.
    """
    if metrics is None and not (folder / "metrics.json").is_file():
        raise FileNotFoundError(f"No metrics.json in {folder}: give the folder of a finished run (run=FOLDER).")
    return RunFiles(
        folder=folder,
        metrics=metrics if metrics is not None else _read_json(folder / "metrics.json", "restore it, or train again"),
        scores=_read_scores(folder / "scores.csv"),
        curves=_read_curves(folder / "metrics.csv"),
        data=_read_json(folder / "data.json", WITHOUT) if (folder / "data.json").is_file() else {},
        examples=_read_examples(folder / "examples.npz"),
        samples=sorted((folder / "figures").glob("samples_*.png")),
        config=_text(folder / ".hydra" / "config.yaml"),
        overrides=_read_overrides(folder / ".hydra" / "overrides.yaml"),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@contextmanager
def _whole(path: Path, remedy: str) -> Iterator[None]:
    """Says which file it is that was cut off or filled by something else."""
    try:
        yield
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}): {remedy}") from error


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    with _whole(path, remedy):
        content = json.loads(_text(path))
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}")
        return content


def _read_overrides(path: Path) -> list[str]:
    """As typed: interpolations stay words."""
    return [str(override) for override in OmegaConf.to_container(OmegaConf.load(path)) or []] if path.is_file() else []


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _numbers(cells: Sequence[str | None]) -> np.ndarray:
    return np.array([float(cell) if cell else math.nan for cell in cells], dtype=np.float64)  # (n,)


def _read_scores(path: Path) -> Scores | None:
    rows = _rows(path)
    if not rows:
        return None
    columns: dict[str, list[str]] = {name: [row[name] for row in rows] for name in rows[0]}
    with _whole(path, WITHOUT):
        decided = all(columns["decision"])
        return Scores(
            indices=np.array(columns["index"], dtype=np.int64),
            paths=columns["path"],
            classes=columns["class"],
            labels=np.array(columns["label"], dtype=np.int64),
            score=_numbers(columns["score"]),
            decisions=np.array(columns["decision"], dtype=np.int64) if decided else None,
            terms={name: _numbers(cells) for name, cells in columns.items() if name not in SCORE_COLUMNS},
        )


def _read_curves(path: Path) -> dict[str, np.ndarray]:
    rows = _rows(path)
    return {name: _numbers([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _read_examples(path: Path) -> Examples | None:
    if not path.is_file():
        return None
    with _whole(path, WITHOUT), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        optional = {name: arrays.get(name) for name in ("reconstructions", "maps", "masks", "has_mask")}
        examples = Examples(arrays["index"], arrays["kind"], arrays["images"], **optional)
    return examples if len(examples.indices) else None
