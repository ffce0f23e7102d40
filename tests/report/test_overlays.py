"""Maps come back to where they were taken, and glow where they exceed their scale."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semigan_pl.data.transforms import ImageFormat
from semigan_pl.report.overlays import LONGEST_SIDE, colour_bar, heat, to_original, within

SIZES = [(90, 60), (61, 120), (64, 64), (20, 14)]  # landscape, portrait, the model's own, smaller than the model's
SIDE = 64


def _blob(size: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    y, x = np.mgrid[: size[1], : size[0]]
    blob: NDArray[np.float64] = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2))
    return blob


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", SIZES)
def test_a_blob_comes_back_to_its_place(size: tuple[int, int], resize: str) -> None:
    short = min(size)
    centre = (size[0] / 2 + 0.2 * short, size[1] / 2 - 0.25 * short)  # inside the crop
    blob = _blob(size, centre, 0.08 * short)
    square = ImageFormat(SIDE, 1, resize, None)(Image.fromarray(np.rint(255 * blob).astype(np.uint8)))[0]
    back = to_original(square / 255, size, resize)
    assert back.shape == blob.shape
    y, x = np.mgrid[: size[1], : size[0]]
    found = (x * back).sum() / back.sum(), (y * back).sum() / back.sum()
    assert found == pytest.approx(centre, abs=0.6)  # px of the original
    assert np.abs(back - blob).max() < 0.25  # half a pixel's shift of so small a blob, and its smoothing


def test_the_models_own_size_is_left_alone() -> None:
    values = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    for resize in ("stretch", "crop", "pad"):
        np.testing.assert_array_equal(to_original(values, (8, 8), resize), values)


def test_there_is_no_opinion_outside_the_crop() -> None:
    back = to_original(np.ones((16, 16)), (50, 20), "crop")
    np.testing.assert_array_equal(back, np.tile((np.arange(50) >= 15) & (np.arange(50) < 35), (20, 1)))
    np.testing.assert_array_equal(to_original(np.ones((16, 16)), (20, 50), "crop"), back.T)


@pytest.mark.parametrize("size", [(50, 20), (20, 50), (47, 13)])
def test_the_padding_leaves_no_trace(size: tuple[int, int]) -> None:
    image = Image.new("L", size, 255)
    padded = ImageFormat(16, 1, "pad", None)(image)[0] == 0
    assert padded.any()
    np.testing.assert_array_equal(to_original(np.where(padded, 1e6, 1.0), size, "pad"), np.ones(size[::-1]))


def test_an_unknown_geometry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.resize=squeeze must be stretch, crop or pad"):
        to_original(np.ones((4, 4)), (8, 8), "squeeze")


def _lightness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Relative luminance of sRGB, 0..1."""
    linear = (pixels / 255.0) ** 2.2
    luminance: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return luminance


@pytest.mark.parametrize("channels", [1, 3])
def test_what_stays_under_the_scale_is_the_image_itself(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 9, channels), dtype=np.uint8)
    shown = heat(image[..., 0] if channels == 1 else image, np.full((6, 9), 0.3), scale=0.5)
    np.testing.assert_array_equal(shown, np.broadcast_to(image, (6, 9, 3)))


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_what_exceeds_the_scale_stands_out_without_colour_vision(level: int) -> None:
    image = np.full((1, 40), level, dtype=np.uint8)
    rising = heat(image, np.linspace(0.7, 6, 40)[None], scale=1.0)[0]
    lightness = _lightness(rising)
    assert np.ptp(lightness) > 0.4
    opaque = lightness[5:]  # from about twice the scale on
    assert (np.diff(opaque) >= 0).all()  # the more, the lighter, on dark and on bright images


def test_the_colours_depend_on_the_ratio_to_the_scale_alone() -> None:
    image = np.full((4, 4), 90, dtype=np.uint8)
    values = np.random.default_rng(0).uniform(0, 3, (4, 4))
    shown = heat(image, values, 0.5)
    np.testing.assert_array_equal(shown, heat(image, 8 * values, 4.0))
    np.testing.assert_array_equal(shown[:2], heat(image[:2], values[:2], 0.5))


def test_odd_values_do_no_harm() -> None:
    image = np.full((1, 4), 100, dtype=np.uint8)
    values = np.array([[np.nan, np.inf, -np.inf, 1e300]])
    shown = heat(image, values, scale=0.0)[0]  # a scale of 0: whatever is above 0 glows
    assert (shown[[0, 2]] == 100).all()
    np.testing.assert_array_equal(shown[1], shown[3])
    assert (shown[1] != 100).all()


def test_a_large_image_is_shrunk_with_its_map() -> None:
    image = np.zeros((400, 4000), dtype=np.uint8)
    values = np.zeros(image.shape)
    values[100:200, 2000:2400] = 5.0
    shown = heat(image, values, scale=1.0)
    assert shown.shape == (102, LONGEST_SIDE, 3)
    rows, columns = np.nonzero(shown.max(axis=2) > 128)
    assert (rows.mean(), columns.mean()) == pytest.approx((150 * 0.256, 2200 * 0.256), abs=1)


def test_a_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a map of shape \(4, 8\) does not lie over an image of shape \(8, 4\)"):
        heat(np.zeros((8, 4, 3), dtype=np.uint8), np.zeros((4, 8)), 1.0)


def test_within_never_enlarges() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(within(pixels, 30), pixels)
    assert within(pixels, 15).shape == (15, 10, 3)


def test_the_colour_bar_grows_lighter() -> None:
    colours = np.array([[int(word[start : start + 2], 16) for start in (1, 3, 5)] for word in colour_bar()])
    assert (np.diff(_lightness(colours.astype(np.uint8))) > 0).all()
