"""Pixels as features, and what all features have in common."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from semigan_pl.features.base import Features, resized
from semigan_pl.features.pixels import Pixels
from semigan_pl.types import from_levels

IMAGES = torch.rand(8, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Scaled(Features):
    """One weight, and BatchNorm and dropout that must never be switched on."""

    def __init__(self, weight: float, power: int) -> None:
        super().__init__(None, ready=False)
        self.power = power
        self.scale = torch.nn.Parameter(torch.tensor(weight))
        self.body = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5)).eval()

    def extra_repr(self) -> str:
        return f"power={self.power}"

    def fetch(self, check_unseen: Any) -> None:
        self.ready.fill_(True)

    def _extract(self, images: Tensor) -> Tensor:
        return (self.body(images) * self.scale).flatten(1) ** self.power


def fetched(weight: float = 2.0, power: int = 1) -> Scaled:
    features = Scaled(weight, power)
    features.fetch(None)
    return features


def test_pixels_are_the_pixels() -> None:
    features = Pixels(None, None)(IMAGES)
    assert features.shape == (8, 3 * 12 * 12)
    assert torch.equal(features.view_as(IMAGES), IMAGES)
    assert features.dtype == torch.float32


def test_pixels_are_resized_by_the_mean_of_what_they_cover() -> None:
    """By a whole factor the antialiased bilinear filter of a linear slope is the slope itself, away from the border."""
    slope = torch.linspace(-1, 1, 16).expand(1, 1, 16, 16)
    small = Pixels(4, None)(slope).view(4, 4)
    means = slope.reshape(4, 4, 4, 4).mean((1, 3))
    torch.testing.assert_close(small[:, 1:3], means[:, 1:3])
    assert torch.equal(resized(IMAGES, 12), IMAGES)
    assert Pixels(5, None)(IMAGES[:, :, :, :7]).shape == (8, 75)
    torch.testing.assert_close(Pixels(4, None)(torch.full((2, 1, 9, 9), 0.5)), torch.full((2, 16), 0.5))


def test_features_of_an_image_do_not_depend_on_the_others() -> None:
    small = Pixels(5, None)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(small(IMAGES[order]), small(IMAGES)[order])
    assert torch.equal(small(IMAGES.contiguous(memory_format=torch.channels_last)), small(IMAGES))


def test_features_never_leave_eval_mode_nor_ask_for_gradients() -> None:
    features = fetched()
    before = features(IMAGES)
    features.train()
    assert not any(module.training for module in features.modules())
    assert torch.equal(features(IMAGES), before)
    assert not before.requires_grad
    with torch.autocast("cpu"):
        assert features(IMAGES).dtype == torch.float32


def test_features_have_to_be_fetched_or_loaded() -> None:
    features = Scaled(1.0, 1)
    with pytest.raises(RuntimeError, match="Scaled features have no weights yet"):
        features(IMAGES)
    features.load_state_dict(fetched(3.0).state_dict())
    assert torch.equal(features(IMAGES), fetched(3.0)(IMAGES))


def test_a_fingerprint_is_of_settings_and_weights() -> None:
    assert fetched().fingerprint() == fetched().fingerprint()
    others = [fetched(2.5), fetched(power=2), Pixels(None, None), Pixels(4, None)]
    assert len({features.fingerprint() for features in (fetched(), *others)}) == 5
    moved = fetched()
    moved.body[0].running_mean.add_(1)  # type: ignore[operator, union-attr]
    assert moved.fingerprint() != fetched().fingerprint()


@pytest.mark.parametrize("images", [IMAGES[0], IMAGES.flatten(1), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)])
def test_what_are_no_images_is_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"features are of images \(N, C, H, W\) in \[-1, 1\]"):
        Pixels(None, None)(images)
    assert Pixels(None, None)(from_levels(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))).tolist() == [[-1.0] * 16] * 2


def test_settings_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match=r"features\.image_size=0 must be a whole number, 1 or more"):
        Pixels(0, None)
    with pytest.raises(ValueError, match=r"features\.components=0\.5 must be a whole number, 1 or more"):
        Pixels(None, 0.5)  # type: ignore[arg-type]
