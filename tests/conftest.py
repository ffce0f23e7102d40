"""What the tests share: small networks, composed configs, and tiny data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from semigan_pl.methods.base import AnomalyModule
from tests.commands import SMALL, Run, command

os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("same every time", derandomize=True)
hypothesis.settings.load_profile("same every time")
CONF = Path(__file__).parents[1] / "conf"
YAMLS = sorted((CONF / "model").glob("*.yaml"))
MODELS = [path.stem for path in YAMLS]
CLASSICAL = [path.stem for path in YAMLS if "/baseline@" in path.read_text(encoding="utf-8")]  # fitted at once
LEARNED = [name for name in MODELS if name not in CLASSICAL]
Compose = Callable[..., DictConfig]


def compose_config(*overrides: str) -> DictConfig:
    """The config that the command line would give, for a small and quick run."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=["search.steps=3", "search.starts=8", *overrides])


def build_model(name: str, *overrides: str) -> AnomalyModule:
    """A model of `conf/model/<name>.yaml` with fixed first weights, width 8, for 16 px grey images."""
    small = ["network_sizes.small.width=8", "network_sizes.small.latent_dim=6"]
    config = compose_config(f"model={name}", *small, *overrides)
    torch.manual_seed(0)
    module: AnomalyModule = instantiate(config.model, _convert_="all")
    return module


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """One small run of the main job."""
    place = tmp_path_factory.mktemp("run")
    result = command(place, *SMALL, "run=first", "max_images=1280", "data.known_classes=[0,1,2]")
    assert result.returncode == 0, result.stderr
    return place / "first", result


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
