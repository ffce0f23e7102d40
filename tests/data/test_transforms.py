"""Images of every kind become uint8 (C, H, W)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.transforms import ImageFormat


def test_grey_and_colour() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(
        ImageFormat(4, 3, "stretch", None)(Image.fromarray(pixels)), pixels.transpose(2, 0, 1)
    )
    grey = ImageFormat(4, 1, "stretch", None)(Image.fromarray(pixels[..., 0]))
    np.testing.assert_array_equal(grey, pixels[None, ..., 0])
    assert ImageFormat(4, 3, "stretch", None)(Image.fromarray(pixels[..., 0])).shape == (3, 4, 4)


def test_shrinking_antialiases() -> None:
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = ImageFormat(8, 1, "stretch", None)(Image.fromarray(checkerboard))
    assert np.abs(small.astype(float) - 127.5).max() < 3  # nearest neighbours would be 0 or 255


@pytest.mark.parametrize(("resize", "row"), [("stretch", [50, 200]), ("crop", [50, 200]), ("pad", [0, 50, 200, 0])])
def test_resize_of_an_upright_image(resize: str, row: list[int]) -> None:
    pixels = np.zeros((8, 4), dtype=np.uint8)
    pixels[:, :2], pixels[:, 2:] = 50, 200
    result = ImageFormat(len(row), 1, resize, None)(Image.fromarray(pixels))
    assert result.shape == (1, len(row), len(row))
    np.testing.assert_allclose(result[0], np.tile(row, (len(row), 1)), atol=25)  # the kernel blurs the edge a little
    assert (resize == "pad") == (result[0, :, 0].max() == 0)


def test_crop_takes_the_centre() -> None:
    pixels = np.zeros((12, 4), dtype=np.uint8)
    pixels[4:8] = 255
    assert ImageFormat(4, 1, "crop", None)(Image.fromarray(pixels)).min() == 255


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 257], [257 * 100, 65535]])
    for pixels in (values.astype(np.uint16), values.astype(np.int32)):
        np.testing.assert_array_equal(
            ImageFormat(2, 1, "stretch", None)(Image.fromarray(pixels))[0], [[0, 1], [100, 255]]
        )


def test_transparent_pixels_lie_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    result = ImageFormat(2, 3, "stretch", None)(image)
    assert result[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_palette_and_cmyk() -> None:
    colour = Image.new("RGB", (2, 2), (255, 0, 0))
    for image in (colour.quantize(4), colour.convert("CMYK")):
        assert ImageFormat(2, 3, "stretch", None)(image)[:, 0, 0].tolist() == [255, 0, 0]


def test_orientation_of_exif_is_applied() -> None:
    image = Image.fromarray(np.array([[0, 255], [0, 255]], dtype=np.uint8))
    image.getexif()[0x0112] = 6  # to be turned by a quarter, clockwise
    np.testing.assert_array_equal(ImageFormat(2, 1, "stretch", None)(image)[0], [[0, 0], [255, 255]])


def test_errors() -> None:
    with pytest.raises(ValueError, match="floating-point"):
        ImageFormat(2, 1, "stretch", None)(Image.fromarray(np.zeros((2, 2), dtype=np.float32)))
    for arguments, option in (
        ((2, 2, "crop", None), "channels"),
        ((2, 1, "zoom", None), "resize"),
        ((0, 1, "crop", None), "image_size"),
    ):
        with pytest.raises(ValueError, match=rf"data\.{option}="):
            ImageFormat(*arguments)


def mask_of(*rows: str) -> Image.Image:
    """A mask drawn with letters: # is defective."""
    return Image.fromarray(np.array([[255 if letter == "#" else 0 for letter in row] for row in rows], dtype=np.uint8))


def test_a_mask_of_the_right_size_stays_as_it_is() -> None:
    mask = mask_of("#..", ".##", "...")
    assert ImageFormat(3, 1, "stretch", None).mask(mask).tolist() == [
        [True, False, False],
        [False, True, True],
        [False] * 3,
    ]


def test_a_mask_has_no_grey() -> None:
    """Half covered is defective; the grey that smoothing would make decides nothing else."""
    mask = mask_of("####....", "####....", "##......", "########", *["........"] * 4)
    chosen = ImageFormat(4, 1, "stretch", None).mask(mask)
    assert chosen.dtype == bool
    assert chosen.tolist() == [[True, True, False, False], [True, True, True, True], [False] * 4, [False] * 4]


def test_a_defect_thinner_than_a_pixel_does_not_vanish() -> None:
    pixels = np.zeros((512, 512), dtype=np.uint8)
    pixels[100, 37] = 255  # a 1/4096 of a pixel of 8 x 8
    chosen = ImageFormat(8, 1, "stretch", None).mask(Image.fromarray(pixels))
    assert np.argwhere(chosen).tolist() == [[1, 0]]


def test_grey_edges_and_label_masks() -> None:
    edges = Image.fromarray(np.array([[0, 90, 200, 255]] * 4, dtype=np.uint8))
    assert ImageFormat(4, 1, "stretch", None).mask(edges)[0].tolist() == [False, False, True, True]
    labels = Image.fromarray(np.array([[0, 1, 2, 0]] * 4, dtype=np.uint8))
    assert ImageFormat(4, 1, "stretch", None).mask(labels)[0].tolist() == [False, True, True, False]
    assert not ImageFormat(4, 1, "stretch", None).mask(mask_of("....")).any()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(96, 48), (48, 96), (64, 64)])
def test_a_mask_lies_where_its_image_does(resize: str, size: tuple[int, int]) -> None:
    pixels = np.zeros(size[::-1], dtype=np.uint8)
    pixels[size[1] // 2 - 8 : size[1] // 2, size[0] // 2 - 8 : size[0] // 2] = 255
    image_format = ImageFormat(32, 1, resize, None)
    seen = image_format(Image.fromarray(pixels))[0]
    chosen = image_format.mask(Image.fromarray(pixels))
    centre = np.average(np.indices(seen.shape).reshape(2, -1), axis=1, weights=seen.ravel())
    np.testing.assert_allclose(np.argwhere(chosen).mean(axis=0), centre, atol=0.3)
    assert chosen.sum() == pytest.approx(seen.sum() / 255, rel=0.35)


def test_all_images_get_the_same_mean() -> None:
    rng = np.random.default_rng(0)
    image_format = ImageFormat(16, 1, "stretch", mean_grey=100)
    means = [
        image_format(Image.fromarray(rng.integers(0, level, (16, 16), dtype=np.uint8))).mean()
        for level in (40, 90, 160)
    ]
    np.testing.assert_allclose(means, 100, atol=0.5)
    colour = ImageFormat(16, 3, "stretch", mean_grey=100)(Image.new("RGB", (16, 16), (20, 40, 60)))
    assert colour[:, 0, 0].tolist() == [50, 100, 150]  # the hue stays
    assert ImageFormat(16, 1, "stretch", mean_grey=100)(Image.new("L", (16, 16))).max() == 0
    with pytest.raises(ValueError, match=r"data\.mean_grey=300 must lie between"):
        ImageFormat(16, 1, "stretch", mean_grey=300)


RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)


def painted(mode: str, *pixels: tuple[int, ...]) -> Image.Image:
    """A mask of four rows of these pixels."""
    return Image.fromarray(np.array([pixels] * len(pixels), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize(
    "mask",
    [
        painted("RGB", BLACK, RED, RED, BLACK),
        painted("RGB", (20, 20, 90), RED, (0, 128, 0), (90, 0, 0)),
        painted("RGB", BLACK, RED, RED, BLACK).quantize(2),
        painted("RGB", BLACK, (64, 0, 0), (192, 128, 128), BLACK).quantize(3),  # labels by colour
        painted("RGBA", (*BLACK, 0), (*BLACK, 255), (*BLACK, 200), (*BLACK, 90)),
        painted("RGBA", (*WHITE, 0), (*BLACK, 255), (*BLACK, 255), (*WHITE, 0)),  # drawn in black on nothing
        painted("RGBA", (*WHITE, 0), (*RED, 255), (*WHITE, 255), (*BLACK, 255)),
        painted("RGBA", (*BLACK, 255), (*WHITE, 255), (*RED, 255), (*BLACK, 255)),
        painted("RGBA", (*BLACK, 0), (*BLACK, 255), (*BLACK, 255), (*BLACK, 0)).convert("LA"),
    ],
    ids=["red", "colours", "palette", "labels", "alpha", "ink", "both", "opaque", "LA"],
)
def test_masks_in_colour_and_alpha(mask: Image.Image) -> None:
    assert ImageFormat(4, 1, "stretch", None).mask(mask)[0].tolist() == [False, True, True, False]


def test_a_mask_without_alpha_to_speak_of_may_be_empty() -> None:
    for alpha in (0, 255):
        assert not ImageFormat(4, 1, "stretch", None).mask(painted("RGBA", *[(*BLACK, alpha)] * 4)).any()
