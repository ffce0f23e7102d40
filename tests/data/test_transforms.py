"""Images of every kind become uint8 (C, H, W)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.transforms import ImageFormat


def test_grey_and_colour() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(ImageFormat(4, 3, "stretch")(Image.fromarray(pixels)), pixels.transpose(2, 0, 1))
    grey = ImageFormat(4, 1, "stretch")(Image.fromarray(pixels[..., 0]))
    np.testing.assert_array_equal(grey, pixels[None, ..., 0])
    assert ImageFormat(4, 3, "stretch")(Image.fromarray(pixels[..., 0])).shape == (3, 4, 4)


def test_shrinking_antialiases() -> None:
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = ImageFormat(8, 1, "stretch")(Image.fromarray(checkerboard))
    assert np.abs(small.astype(float) - 127.5).max() < 3  # nearest neighbours would be 0 or 255


@pytest.mark.parametrize(("resize", "row"), [("stretch", [50, 200]), ("crop", [50, 200]), ("pad", [0, 50, 200, 0])])
def test_resize_of_an_upright_image(resize: str, row: list[int]) -> None:
    pixels = np.zeros((8, 4), dtype=np.uint8)
    pixels[:, :2], pixels[:, 2:] = 50, 200
    result = ImageFormat(len(row), 1, resize)(Image.fromarray(pixels))
    assert result.shape == (1, len(row), len(row))
    np.testing.assert_allclose(result[0], np.tile(row, (len(row), 1)), atol=25)  # the kernel blurs the edge a little
    assert (resize == "pad") == (result[0, :, 0].max() == 0)


def test_crop_takes_the_centre() -> None:
    pixels = np.zeros((12, 4), dtype=np.uint8)
    pixels[4:8] = 255
    assert ImageFormat(4, 1, "crop")(Image.fromarray(pixels)).min() == 255


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 257], [257 * 100, 65535]])
    for pixels in (values.astype(np.uint16), values.astype(np.int32)):
        np.testing.assert_array_equal(ImageFormat(2, 1, "stretch")(Image.fromarray(pixels))[0], [[0, 1], [100, 255]])


def test_transparent_pixels_lie_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    result = ImageFormat(2, 3, "stretch")(image)
    assert result[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_palette_and_cmyk() -> None:
    colour = Image.new("RGB", (2, 2), (255, 0, 0))
    for image in (colour.quantize(4), colour.convert("CMYK")):
        assert ImageFormat(2, 3, "stretch")(image)[:, 0, 0].tolist() == [255, 0, 0]


def test_orientation_of_exif_is_applied() -> None:
    image = Image.fromarray(np.array([[0, 255], [0, 255]], dtype=np.uint8))
    image.getexif()[0x0112] = 6  # to be turned by a quarter, clockwise
    np.testing.assert_array_equal(ImageFormat(2, 1, "stretch")(image)[0], [[0, 0], [255, 255]])


def test_errors() -> None:
    with pytest.raises(ValueError, match="floating-point"):
        ImageFormat(2, 1, "stretch")(Image.fromarray(np.zeros((2, 2), dtype=np.float32)))
    for arguments, option in (((2, 2, "crop"), "channels"), ((2, 1, "zoom"), "resize"), ((0, 1, "crop"), "image_size")):
        with pytest.raises(ValueError, match=rf"data\.{option}="):
            ImageFormat(*arguments)
