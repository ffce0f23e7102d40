"""What `metrics.json` says of a run beside its scores: versions, revision, time."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from semigan_pl.callbacks.timing import Timing

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "scikit-learn", "numpy")


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
        "test/images_per_second": n_test / timing.test_seconds if n_test else None,  # all were scored before a stop
    }


def git_revision() -> str | None:
    """The commit of this source tree, with `-dirty` where it has uncommitted changes; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no git on this machine
        return None
    return described.stdout.strip() or None
