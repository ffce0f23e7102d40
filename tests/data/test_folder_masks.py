"""Masks in one's own folder: which mask belongs to which image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semigan_pl.data.folder import folder
from tests.data.test_sources import write_image

IMAGES = ["normal/n.png", "anomalous/a.jpg", "anomalous/scratch/a.jpg", "anomalous/scratch/b.v2.bmp"]


def make(base: Path, *names: str) -> None:
    for name in names:
        write_image(base / name, grey=255 if "masks" in name else 0)


def masked(base: Path) -> dict[str, str]:
    """Image -> mask, both below `base`."""
    source = folder(str(base), "folder")
    assert source.has_masks == bool(source.masks)
    return {
        Path(source.paths[position]).relative_to(base).as_posix(): Path(mask).relative_to(base).as_posix()
        for position, mask in source.masks.items()
    }


def test_masks_mirror_the_anomalous_images(tmp_path: Path) -> None:
    make(tmp_path, *IMAGES)
    assert masked(tmp_path) == {}
    make(tmp_path, "masks/a.png", "masks/scratch/b.v2_mask.tif", "masks/.hidden.png")
    assert masked(tmp_path) == {
        "anomalous/a.jpg": "masks/a.png",
        "anomalous/scratch/b.v2.bmp": "masks/scratch/b.v2_mask.tif",
    }
    source = folder(str(tmp_path), "folder")
    mask = source.mask(source.paths.index(str(tmp_path / "anomalous/a.jpg")))
    assert mask is not None
    assert np.asarray(mask).min() == 255
    assert source.mask(0) is None  # the normal image
    assert source.mask(source.paths.index(str(tmp_path / "anomalous/scratch/a.jpg"))) is None  # not known


def test_masks_of_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        make(tmp_path / part, *IMAGES, "masks/scratch/a.png")
    assert masked(tmp_path) == {
        f"{part}/anomalous/scratch/a.jpg": f"{part}/masks/scratch/a.png" for part in ("train", "test")
    }
    make(tmp_path, "masks/scratch/a.png")
    with pytest.raises(ValueError, match=r"/masks/scratch/a\.png is the mask of no image in .*/anomalous"):
        folder(str(tmp_path), "folder")


def test_an_image_that_is_called_a_mask(tmp_path: Path) -> None:
    make(tmp_path, "normal/n.png", "anomalous/a.png", "anomalous/a_mask.png", "masks/a_mask.png", "masks/a.png")
    assert masked(tmp_path) == {"anomalous/a.png": "masks/a.png", "anomalous/a_mask.png": "masks/a_mask.png"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["masks/b.png"],
            r"masks/b\.png is the mask of no image in .*anomalous: give every mask the name of its image",
        ),
        (["masks/n.png"], r"masks/n\.png is the mask of no image"),  # a normal image has no defective pixels
        (
            ["masks/a.png", "masks/a_mask.png"],
            r"anomalous/a\.jpg has two masks, .*masks/a\.png and .*masks/a_mask\.png",
        ),
        (["masks/a.png", "masks/a.bmp"], r"anomalous/a\.jpg has two masks"),
        (["masks/a.png", "anomalous/a.png"], r"masks/a\.png fits 2 images"),
    ],
)
def test_errors_of_masks(tmp_path: Path, names: list[str], message: str) -> None:
    make(tmp_path, *IMAGES, *names)
    with pytest.raises(ValueError, match=message):
        folder(str(tmp_path), "folder")
