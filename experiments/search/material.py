"""What the measurements need: a config, networks, images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.detector import load_detector
from semigan_pl.latent_search.descent import Descent
from semigan_pl.methods.anogan import AnoGAN

CONF = Path(__file__).resolve().parents[2] / "conf"


def composed(overrides: Sequence[str]) -> DictConfig:
    """The config of run.py with these overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def descent(name: str) -> Descent:
    """A way to step, as conf/search/descent/ has it."""
    found: Descent = instantiate(OmegaConf.load(CONF / "search" / "descent" / f"{name}.yaml"), _convert_="all")
    return found


def trained(config: DictConfig, data: AnomalyDataModule) -> AnoGAN:
    """The detector in `checkpoint=`. Raises ValueError if it searches nothing or has seen what would test it."""
    if config.checkpoint is None:
        raise ValueError("no network was named: add checkpoint=FOLDER_OF_A_RUN/checkpoints/last.ckpt")
    detector = load_detector(config.checkpoint, "cpu")
    module = detector.module
    if not isinstance(module, AnoGAN):
        raise ValueError(f"{config.checkpoint} is a {module.name}, which searches no latents: train model=semigan")
    if detector.data["name"] == data.source.name and np.isin(data.splits.test, detector.data["used"]).any():
        raise ValueError(
            f"{config.checkpoint} has learned from images that test it here: repeat its run's data.* and seed"
        )
    return module


def untrained(config: DictConfig) -> AnoGAN:
    """Random networks, enough to measure time; a few batches bring the running statistics to where values are."""
    torch.manual_seed(0)
    module: AnoGAN = instantiate(config.model, _convert_="all")
    generator: Any = module.generator
    with torch.no_grad():
        for seed in range(3):
            images = module.train().generator(generator.sample_latents(4, torch.Generator().manual_seed(seed)))
            module.discriminator(images)
    return module.eval()
