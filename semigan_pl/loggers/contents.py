"""What there is to show of a finished run: its numbers, figures, sample grids and examples."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from semigan_pl.report import page, pictures
from semigan_pl.report.run_files import RunFiles
from semigan_pl.report.sweep_axes import GAMMA
from semigan_pl.report.sweep_files import read_config
from semigan_pl.report.sweep_settings import is_number
from semigan_pl.report.sweep_statistics import METRICS


def numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of metrics.json; its words are in the config already."""
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def measured(run: RunFiles) -> dict[str, float]:
    """What runs are compared by, beside the run's gamma: a point each for charts over gamma."""
    gamma: Any = read_config(run.config).get(GAMMA)
    found = {key: value for key in METRICS if (value := run.number(key)) is not None}
    return {"gamma": gamma, **found} if is_number(gamma) else found


def command(folder: Path) -> str:
    """What to type to repeat the run; empty where it is not known."""
    overrides = folder / ".hydra" / "overrides.yaml"
    if not overrides.is_file():
        return ""
    return page.command([str(typed) for typed in OmegaConf.to_container(OmegaConf.load(overrides)) or []])


def images_seen(metrics: dict[str, Any]) -> int:
    """Length of the training, 0 where nothing was trained."""
    return int(metrics.get("train/images_seen") or 0)


def figures(run: RunFiles) -> dict[str, Path]:
    """Name -> picture of the report, sample grids apart."""
    return {path.stem: path for path in sorted((run.folder / "figures").glob("*.png")) if path not in run.samples}


def samples(run: RunFiles) -> dict[int, Path]:
    """Images seen -> sample grid, in the order of training."""
    counts = {path: path.stem.removeprefix("samples_") for path in run.samples}
    return dict(sorted((int(count), path) for path, count in counts.items() if count.isdecimal()))


def example_rows(run: RunFiles) -> list[dict[str, Any]]:
    """One row per example: what scores.csv says of it, then its pictures; the same columns in every row."""
    if run.examples is None:
        return []
    scale = pictures.map_scale(run.examples)
    rows = []
    for place, (index, kind) in enumerate(zip(run.examples.indices, run.examples.kind, strict=True)):
        tiles = pictures.drawn_tiles(run.examples, place, scale)
        shown = {name: Image.fromarray(pixels) for name, pixels in tiles.items()}
        rows.append({"index": int(index), "kind": str(kind), **_outcome(run, index), **shown})
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]


def _outcome(run: RunFiles, index: int) -> dict[str, Any]:
    """The row of scores.csv for one image."""
    scores = run.scores
    if scores is None or index not in scores.indices:
        return {}
    place = int(np.argmax(scores.indices == index))
    return {
        "path": scores.paths[place],
        "class": scores.classes[place],
        "label": int(scores.labels[place]),
        "score": float(scores.score[place]),
        "decision": None if scores.decisions is None else int(scores.decisions[place]),
    }
