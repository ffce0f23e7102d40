"""Pixel truth: what is known of a defect, what is not, and masks that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.masks import PixelTruth, read_masks
from semigan_pl.data.transforms import ImageFormat

FORMAT = ImageFormat(8, 1, "stretch", None)


@pytest.fixture
def source(tmp_path: Path) -> ImageFiles:
    """Three images of 16 x 12 px: with a mask, with an empty one, with none."""
    for name in ("a", "b", "c"):
        Image.new("L", (16, 12), 80).save(tmp_path / f"{name}.png")
    marked = np.zeros((12, 16), dtype=np.uint8)
    marked[:6, :8] = 255
    Image.fromarray(marked).save(tmp_path / "a_mask.png")
    Image.new("L", (16, 12)).save(tmp_path / "b_mask.png")
    masks = {0: str(tmp_path / "a_mask.png"), 1: str(tmp_path / "b_mask.png")}
    return ImageFiles("three", ["bad"], [0, 0, 0], [""] * 3, [str(tmp_path / f"{n}.png") for n in "abc"], masks=masks)


def test_what_is_known(source: ImageFiles) -> None:
    assert source.has_masks
    truth = read_masks(source, range(3), FORMAT)
    expected = np.zeros((8, 8), dtype=bool)
    expected[:4, :4] = True
    np.testing.assert_array_equal(truth[0], expected)
    assert truth[1] is None, "an anomalous image in which nothing is marked: its truth is not known"
    assert truth[2] is None
    assert len(truth) == 1


@pytest.mark.parametrize("size", [1, 3, 8, 65])
def test_bits_come_back(size: int) -> None:
    truth = PixelTruth(size)
    mask = np.random.default_rng(0).random((size, size)) < 0.3
    truth[5] = mask
    np.testing.assert_array_equal(truth[5], mask)


def test_masks_that_do_not_fit(source: ImageFiles) -> None:
    Image.new("L", (12, 16), 255).save(source.masks[0])
    Path(source.masks[1]).write_text("not an image")
    with pytest.raises(ValueError, match=r"masks of 2 images of three .*a\.png \(its mask has 12 x 16.*not 16 x 12"):
        read_masks(source, range(3), FORMAT)


def test_a_turned_photograph_has_a_turned_mask(source: ImageFiles, tmp_path: Path) -> None:
    """EXIF turns the photograph; its mask was drawn on what a person saw."""
    photo = Image.new("L", (12, 16), 80)
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=exif)
    turned = ImageFiles("turned", ["bad"], [0], [""], [str(tmp_path / "turned.jpg")], masks={0: source.masks[0]})
    assert read_masks(turned, [0], FORMAT)[0] is not None
