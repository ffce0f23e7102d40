"""A finished run to log, and a W&B that knows neither the user nor the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import wandb
from matplotlib.image import imsave

from tests.report.conftest import make_run

__all__ = ["make_run"]


@pytest.fixture
def run_folder(make_run: Callable[..., Path]) -> Path:
    """A run whose report is written: two figures, three sample grids, nine examples."""
    folder = make_run()
    for name, grey in (("roc", 50), ("histogram", 200)):
        imsave(folder / "figures" / f"{name}.png", np.full((6, 8, 3), grey, dtype=np.uint8))
    return folder


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without keys, and an environment without options of W&B or proxies; W&B starts and ends with the test."""
    for name in os.environ:
        if name.startswith("WANDB_") or name.lower().endswith("_proxy") or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(home / name.lower()))
    wandb.teardown()  # it keeps the environment of its first use
    yield home
    wandb.teardown()
