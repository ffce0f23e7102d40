"""Photos of nothing, with and without faults, for the tests of tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from PIL import Image

from semigan_pl.data.datamodule import AnomalyDataModule
from tests.conftest import compose_config


def build(*overrides: str) -> AnomalyDataModule:
    """The data module of a config."""
    data: AnomalyDataModule = instantiate(compose_config(*overrides).data.module, _convert_="all")
    return data


def options(photos: Path, *more: str) -> tuple[str, ...]:
    """What to type for a folder of photos, seen as they are."""
    return "data=folder", f"data.root='{photos}'", "data.image_size=16", "data.channels=1", *more


def write_images(
    folder: Path, n: int, brightness: float = 120, size: tuple[int, int] = (16, 16), seed: int = 0
) -> None:
    """Noise about a mean grey value, from an independent stream for every folder and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *str(folder.name).encode(), *str(folder.parent.name).encode()])
    for number in range(n):
        pixels = random.normal(brightness + random.normal(0, 3), 20, size[::-1]).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}_{seed}.png")


def write_photos(base: Path) -> Path:
    """Parted images without any fault: 40 normal ones to train on, 20 of each kind to test, 10 known anomalies."""
    for folder, n in (("train/normal", 40), ("train/anomalous", 10), ("test/normal", 20), ("test/anomalous", 20)):
        write_images(base / folder, n)
    return base
