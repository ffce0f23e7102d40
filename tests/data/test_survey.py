"""The survey: what one look finds out about an image, copies, broken files, masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.image_source import ArrayImages, ImageFiles
from semigan_pl.data.survey import Look, Survey, area_scale, survey, survey_masks
from semigan_pl.data.transforms import ImageFormat

GREY = ImageFormat(8, 1, "stretch", None)


def files(*paths: Path, masks: dict[int, str] | None = None) -> ImageFiles:
    n = len(paths)
    return ImageFiles("some", ["normal"], [0] * n, [""] * n, [str(path) for path in paths], masks=masks)


def surveyed(source: ImageFiles, image_format: ImageFormat = GREY) -> Survey:
    return survey(source, np.arange(len(source)), image_format)


def look_at(path: Path, image_format: ImageFormat = GREY) -> Look:
    (look,) = surveyed(files(path), image_format).looks
    return look


def test_a_look_at_an_array() -> None:
    pixels = np.zeros((3, 4, 8), dtype=np.uint8)
    pixels[2, :, 4:] = 200
    source = ArrayImages("some", pixels, ["0"], [0, 0, 0], ["", "", ""])
    (look,) = survey(source, np.array([2]), ImageFormat(4, 1, "stretch", None)).looks
    assert (look.position, look.width, look.height, look.aspect, look.kind) == (2, 8, 4, 2.0, "grey")
    assert (look.mean, look.contrast, look.seen_mean) == pytest.approx((100, 100, 100))
    assert np.isnan(look.file_size)


def test_a_look_at_a_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    look = look_at(path)
    assert (look.width, look.height, look.kind, look.has_colour) == (7, 5, "colour", True)
    assert (look.mean, look.contrast) == pytest.approx((pixels.mean(), pixels.std()))
    assert look.file_size == path.stat().st_size


def test_kinds_of_images(tmp_path: Path) -> None:
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    grey = Image.fromarray(levels)
    images = {
        "grey": grey,
        "grey stored as colour": grey.convert("RGB"),
        "grey, 16 bit": Image.fromarray(levels.astype(np.uint16) * 257),
        "grey, transparent": grey.convert("LA"),
        "black and white": grey.convert("1"),
        "palette": grey.convert("P"),
    }
    for kind, image in images.items():
        image.save(tmp_path / f"{kind}.png")
        assert look_at(tmp_path / f"{kind}.png").kind == kind
    found = surveyed(files(*(tmp_path / f"{kind}.png" for kind in images)))
    assert found.copies() == [[0, 1, 2, 3, 5]]  # the same picture to a person: all but the black and white one
    assert not any(look.has_colour for look in found.looks)


def test_size_and_brightness_are_those_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("L", (6, 2), 40).save(tmp_path / "a.png", exif=exif)
    look = look_at(tmp_path / "a.png")
    assert (look.width, look.height, look.mean, look.contrast) == (2, 6, 40, 0)


def test_residues_of_a_wanted_mean_are_rounded_away(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, brightness in enumerate((90, 180)):
        pixels = random.normal(brightness, 15, (64, 64)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    source = files(tmp_path / "0.png", tmp_path / "1.png")
    scaled = surveyed(source, ImageFormat(32, 1, "stretch", mean_grey=128))
    np.testing.assert_allclose(scaled.column("mean"), [89.5, 179.5], atol=1)
    assert scaled.column("seen_mean").tolist() == [128, 128]


def test_copies_are_pictures_and_not_bytes(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    Image.new("L", (2, 3)).save(tmp_path / "b.png")  # the same pixels in another shape
    Image.new("RGB", (2, 3)).save(tmp_path / "c.bmp")
    Image.new("RGB", (2, 3), (0, 0, 1)).save(tmp_path / "d.bmp")
    found = surveyed(files(*(tmp_path / name for name in ("a.png", "b.png", "c.bmp", "d.bmp"))))
    assert found.copies() == [[1, 2]]


def test_broken_files_are_named(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    (tmp_path / "text.png").write_text("no image")
    found = surveyed(files(*(tmp_path / name for name in ("bad.png", "good.png", "text.png", "gone.png"))))
    assert [look.position for look in found.looks] == [1]
    assert sorted(found.broken) == [0, 2, 3]
    assert found.broken[2].startswith(f"{tmp_path / 'text.png'} (cannot identify")
    with pytest.raises(ValueError, match=r"none of the 1 images of some can be read: repair .*bad\.png"):
        look_at(tmp_path / "bad.png")


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(64, 32), (16, 64), (4, 8)])
def test_area_scale_against_resized_masks(resize: str, size: tuple[int, int]) -> None:
    image_format = ImageFormat(16, 1, resize, None)
    (width, height), side = size, min(size)
    mask = Image.new("L", size)
    left, top = (width - side) // 2, (height - side) // 2
    mask.paste(255, (left, top, left + side, top + side))  # the square in the middle, which every way of resizing keeps
    assert image_format.mask(mask).sum() == side**2 * area_scale(width, height, image_format)


def test_masks(tmp_path: Path) -> None:
    masks = {}
    for position, name in enumerate(("hit", "empty", "outside", "wrong size", "none", "text")):
        Image.new("L", (32, 16), 100).save(tmp_path / f"{name}.png")
        mask = Image.new("L", (32, 16) if name != "wrong size" else (16, 16))
        if name == "hit":
            mask.paste(255, (12, 4, 20, 8))  # 32 pixels
        if name == "outside":
            mask.paste(255, (0, 0, 4, 16))  # left of the centre that is cropped
        masks[position] = str(tmp_path / f"{name}_mask.png")
        mask.save(masks[position])
    (tmp_path / "text_mask.png").write_text("no image")
    del masks[4]
    source = files(
        *(tmp_path / f"{name}.png" for name in ("hit", "empty", "outside", "wrong size", "none", "text")), masks=masks
    )
    cropped = ImageFormat(8, 1, "crop", None)
    found = survey_masks(source, surveyed(source, cropped).looks, cropped)
    assert found.areas == {0: 8.0, 2: 0.0}  # half as wide and half as high
    assert (found.empty, found.lost, found.missing, sorted(found.broken)) == ([1], [2], [4], [3, 5])
    assert "wrong size.png (its mask has 16 x 16 pixels and not 32 x 16)" in found.broken[3]
    stretched = survey_masks(source, surveyed(source).looks, GREY)
    assert stretched.areas == {0: 4.0, 2: 8.0}
    assert stretched.lost == []
