"""Grids of samples: when, which, and that drawing them leaves no trace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from semigan_pl.callbacks.image_grid import ImageGrid
from semigan_pl.methods.adversarial import AdversarialModule
from tests.conftest import build_model


def trainer_in(folder: Path) -> Any:
    return SimpleNamespace(default_root_dir=str(folder))


def gan(*overrides: str) -> AdversarialModule:
    module = build_model("gan", *overrides)
    assert isinstance(module, AdversarialModule)
    return module


def train(grid: ImageGrid, module: AdversarialModule, trainer: Any, until: int, batch: int = 64) -> None:
    grid.on_train_start(trainer, module)
    while module.images_seen < until:
        module.images_seen += batch
        grid.on_train_batch_end(trainer, module, None, None, 0)
    grid.on_test_start(trainer, module)


def written(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("samples_")) for path in (folder / "figures").iterdir())


def test_grids_come_at_regular_distances_and_at_the_end(tmp_path: Path) -> None:
    train(ImageGrid(grids=4, images=4, max_images=1000, image_size=16), gan(), trainer_in(tmp_path), until=1000)
    assert written(tmp_path) == [256, 512, 768, 1024]
    assert (tmp_path / "figures" / "samples_000000256.png").is_file()


def test_a_continued_training_keeps_the_distances(tmp_path: Path) -> None:
    module = gan()
    module.images_seen = 576
    train(ImageGrid(grids=4, images=4, max_images=1000, image_size=16), module, trainer_in(tmp_path), until=800)
    assert written(tmp_path) == [768, 832]


def test_batches_larger_than_the_distance_give_one_grid_each(tmp_path: Path) -> None:
    train(ImageGrid(grids=8, images=4, max_images=256, image_size=16), gan(), trainer_in(tmp_path), until=256)
    assert written(tmp_path) == [64, 128, 192, 256]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_samples_of_the_average(tmp_path: Path, channels: int) -> None:
    module = gan(f"data.channels={channels}")
    ImageGrid(grids=1, images=9, max_images=64, image_size=16).save(trainer_in(tmp_path), module)
    picture = np.asarray(Image.open(tmp_path / "figures" / "samples_000000000.png"))
    assert picture.shape == (3 * 17 + 1, 3 * 17 + 1, 3)
    z = module.generator.sample_latents(9, torch.Generator().manual_seed(0))  # type: ignore[operator]
    with torch.no_grad():
        sample = module.ema_generator.eval()(z)[4].expand(3, -1, -1)  # the one in the middle
    expected = ((sample + 1) * 127.5).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(picture[18:34, 18:34], expected, atol=1)


def test_the_latents_are_always_the_same_and_the_weights_count(tmp_path: Path) -> None:
    module, grid = gan(), ImageGrid(grids=1, images=4, max_images=64, image_size=16)
    pictures = []
    for seen in (0, 64, 128):
        module.images_seen = seen
        if seen == 128:
            module.best_generator.state_dict()["grow.0.bias"].add_(1.0)
        grid.save(trainer_in(tmp_path), module)
        pictures.append((tmp_path / "figures" / f"samples_{seen:09d}.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_drawing_moves_nothing(tmp_path: Path) -> None:
    module = gan().train()
    before = {key: value.clone() for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    random_state = torch.get_rng_state()
    ImageGrid(grids=1, images=4, max_images=64, image_size=16).save(trainer_in(tmp_path), module)
    assert torch.equal(random_state, torch.get_rng_state())
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    assert all(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.ema_generator.parameters())


def test_a_method_without_a_generator_draws_nothing(tmp_path: Path) -> None:
    other: Any = SimpleNamespace(images_seen=64)
    ImageGrid(grids=1, images=4, max_images=64, image_size=16).on_test_start(trainer_in(tmp_path), other)
    assert not list(tmp_path.iterdir())
