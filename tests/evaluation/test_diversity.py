"""Numbers of a GAN's health against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from semigan_pl.evaluation.diversity import mean_pairwise_distance, relative_diversity, separation
from semigan_pl.evaluation.metrics import auroc


def images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_mean_pairwise_distance_by_hand() -> None:
    corners = torch.tensor([[[[0.0, 0.0]]], [[[3.0, 4.0]]], [[[0.0, 4.0]]]])
    assert mean_pairwise_distance(corners) == pytest.approx((5 + 4 + 3) / 3)


@pytest.mark.parametrize("scale", [0.01, 0.5, 1.0, 3.0])
def test_diversity_is_a_ratio(scale: float) -> None:
    real = images(20)
    assert relative_diversity(scale * real + 0.3, real) == pytest.approx(scale, rel=1e-4)


@pytest.mark.parametrize("modes", [1, 2, 10])
def test_a_collapse_onto_k_images(modes: int) -> None:
    """n images of k kinds, which are as far apart as real ones: 1 - (n / k - 1) / (n - 1) of the pairs differ."""
    real = 2 * torch.eye(100).view(100, 1, 10, 10)
    generated = real[:modes].repeat(100 // modes, 1, 1, 1)
    expected = 1 - (100 / modes - 1) / 99
    assert relative_diversity(generated, real) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n", [2, 3, 20])
def test_few_images_have_no_bias(n: int) -> None:
    ratios = [relative_diversity(images(n, seed), images(200, 1000)) for seed in range(100)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_equal_real_images_lack_nothing() -> None:
    assert relative_diversity(images(4), torch.zeros(4, 1, 8, 8)) == 1


@pytest.mark.parametrize(("generated", "real"), [(1, 4), (4, 1), (0, 4)])
def test_one_image_has_no_diversity(generated: int, real: int) -> None:
    with pytest.raises(ValueError, match=f"of {generated} generated and {real} real images: give"):
        relative_diversity(images(generated), images(real))


def test_separation_is_the_auroc_ties_included() -> None:
    noise = np.random.default_rng(0)
    real, generated = noise.integers(2, 8, 50).astype(float), noise.integers(0, 6, 30).astype(float)
    expected = auroc(np.repeat([1, 0], [50, 30]), np.concatenate([real, generated]))
    assert separation(torch.from_numpy(real), torch.from_numpy(generated)) == pytest.approx(expected)


@pytest.mark.parametrize(("gap", "expected"), [(1.0, 1.0), (0.0, 0.5), (-1.0, 0.0)])
def test_separation_needs_no_threshold(gap: float, expected: float) -> None:
    generated = torch.full((5,), -1234.0)
    assert separation(generated[:3] + gap, generated) == expected
