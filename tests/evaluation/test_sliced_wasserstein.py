"""Sliced Wasserstein distances against closed forms, and the pyramid against its own inverse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from semigan_pl.evaluation.sliced_wasserstein import (
    enlarge,
    laplacian_pyramid,
    shrink,
    sliced_wasserstein,
    sliced_wasserstein_by_resolution,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_resolution(a: Tensor, b: Tensor, patches: int = 16) -> dict[int, float]:
    return sliced_wasserstein_by_resolution(a, b, patches=patches, directions=16, noise=seeded(9))


def random_images(n: int, channels: int, height: int, width: int, seed: int = 1) -> Tensor:
    return torch.randn(n, channels, height, width, generator=seeded(seed))


def test_on_a_line_it_is_the_mean_gap_of_sorted_values() -> None:
    a, b = torch.tensor([[3.0], [0.0], [1.0]]), torch.tensor([[2.0], [7.0], [1.0]])  # 0, 1, 3 and 1, 2, 7
    assert sliced_wasserstein(a, b, directions=3, noise=seeded()) == pytest.approx((1 + 1 + 4) / 3)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_a_shifted_gaussian_against_the_closed_form(shift: float) -> None:
    """The projected shift is |shift| |cos|, whose mean over the unit vectors of dimension d is known."""
    d = 5
    points = torch.randn(300, d, generator=seeded())
    moved = points + shift * torch.eye(d)[2]
    mean_cosine = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    measured = sliced_wasserstein(points, moved, directions=20_000, noise=seeded(2))
    assert measured == pytest.approx(shift * mean_cosine, rel=0.02, abs=1e-6)


def test_a_scaled_gaussian_against_the_closed_form() -> None:
    """W_1 of N(0, 1) and N(0, s^2) is (s - 1) E|x|, along every line."""
    points = torch.randn(20_000, 2, generator=seeded())
    measured = sliced_wasserstein(points, 3 * points, directions=32, noise=seeded(2))
    assert measured == pytest.approx(2 * math.sqrt(2 / math.pi), rel=0.02)


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        ((4, 4), [4]),
        ((8, 8), [8]),
        ((16, 16), [16]),
        ((28, 28), [28]),
        ((32, 32), [32, 16]),
        ((40, 24), [40]),
        ((77, 77), [77, 39, 20]),
        ((128, 128), [128, 64, 32, 16]),
        ((308, 308), [308, 154, 77, 39, 20]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_has_a_distance(size: tuple[int, int], levels: list[int], channels: int) -> None:
    a, b = (random_images(3, channels, *size, seed=seed) for seed in (1, 2))
    distances = by_resolution(a, b)
    assert list(distances) == levels
    assert all(0 < distance < 1 for distance in distances.values())


def test_equal_sets_are_at_zero_and_the_distance_is_symmetric() -> None:
    a, b = random_images(20, 3, 32, 32), random_images(20, 3, 32, 32).square()
    assert by_resolution(a, a) == {32: 0.0, 16: 0.0}
    assert by_resolution(a, b) == by_resolution(b, a)


def test_the_same_noise_gives_the_same_distance_and_leaves_torch_alone() -> None:
    a, b = (random_images(4, 1, 16, 16, seed=seed) for seed in (1, 2))
    state = torch.get_rng_state()
    assert by_resolution(a, b) == by_resolution(a, b)
    assert torch.equal(state, torch.get_rng_state())


def test_more_unlike_structure_is_further_away() -> None:
    """White noise against noise that is blurred more and more."""
    noise = random_images(64, 1, 16, 16)
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    mixed = [noise.lerp(blurred, weight) for weight in (0.0, 0.3, 0.6, 1.0)]
    distances = [by_resolution(noise, images)[16] for images in mixed]
    assert distances == sorted(distances)
    assert distances[0] == 0
    assert distances[-1] > 2 * by_resolution(noise, random_images(64, 1, 16, 16, seed=5))[16]  # another draw of it


def test_the_resolution_that_is_off_is_the_one_that_shows() -> None:
    coarse = enlarge(random_images(64, 1, 16, 16), (32, 32))
    fine = coarse + 0.5 * random_images(64, 1, 32, 32, seed=2)
    other = coarse + 0.5 * torch.nn.functional.avg_pool2d(random_images(64, 1, 32, 32, seed=3), 3, 1, 1)
    distances = by_resolution(fine, other)
    assert distances[32] > 2 * distances[16]


def test_brightness_and_contrast_per_channel_do_not_count() -> None:
    a = random_images(8, 3, 16, 16)
    gain, offset = torch.tensor([0.5, 2.0, 3.0]).view(3, 1, 1), torch.tensor([1.0, -1.0, 0.0]).view(3, 1, 1)
    assert by_resolution(a, gain * a + offset)[16] == pytest.approx(0, abs=1e-5)


def test_images_without_any_contrast_are_measured() -> None:
    grey, a = torch.full((8, 1, 16, 16), 0.3), random_images(8, 1, 16, 16)
    assert by_resolution(grey, grey + 0.1)[16] == pytest.approx(0, abs=0.1)
    assert 0.5 < by_resolution(grey, a)[16] < 1  # E|x| of a normal value


@pytest.mark.parametrize("size", [(64, 64), (77, 50), (33, 32)])
def test_the_pyramid_is_put_together_again(size: tuple[int, int]) -> None:
    images = random_images(2, 3, *size)
    *bands, whole = laplacian_pyramid(images)
    for band in reversed(bands):
        whole = enlarge(whole, (band.shape[2], band.shape[3])) + band
    torch.testing.assert_close(whole, images)


@pytest.mark.parametrize("size", [(32, 32), (39, 54)])
def test_flat_images_stay_flat_when_shrunk_and_enlarged(size: tuple[int, int]) -> None:
    """So bands hold no brightness: the filter sums to 1, and to 1/4 over the pixels between which zeros stand."""
    flat = torch.full((1, 2, *size), 0.7)
    smaller = shrink(flat)
    assert smaller.shape[2:] == (math.ceil(size[0] / 2), math.ceil(size[1] / 2))
    torch.testing.assert_close(smaller, torch.full_like(smaller, 0.7))
    torch.testing.assert_close(enlarge(smaller, size), flat)


def test_shrinking_is_the_binomial_filter() -> None:
    dot = torch.zeros(1, 1, 33, 33)
    dot[..., 16, 16] = 256.0
    expected = torch.zeros(17, 17)
    expected[7:10, 7:10] = torch.outer(row := torch.tensor([1.0, 6.0, 1.0]), row)
    torch.testing.assert_close(shrink(dot)[0, 0], expected)


def test_distances_do_not_depend_on_the_blocks_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_images(20, 1, 32, 32), random_images(20, 1, 32, 32, seed=2)
    in_one = by_resolution(a, b)
    monkeypatch.setattr("semigan_pl.evaluation.sliced_wasserstein.BLOCK", 3 * 32 * 32)
    assert by_resolution(a, b) == pytest.approx(in_one, rel=1e-5)


@pytest.mark.parametrize("other", [(5, 1, 16, 16), (4, 3, 16, 16), (4, 1, 8, 8)])
def test_sets_that_cannot_be_compared_are_refused(other: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="equally many images of equal size"):
        by_resolution(torch.zeros(4, 1, 16, 16), torch.zeros(other))


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many images"):
        by_resolution(torch.zeros(0, 1, 16, 16), torch.zeros(0, 1, 16, 16))
