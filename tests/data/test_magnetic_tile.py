"""Magnetic tiles: kinds, masks beside the images, shots of one tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.magnetic_tile import magnetic_tile
from semigan_pl.data.splits import draw_splits
from tests.data.protocols import make_protocol
from tests.data.test_sources import real_data, write_image

# A tile without and a tile with a blowhole, twice each, then another crack; numbers count up.
SHOTS = [
    ("Free", "exp1_num_100"),
    ("Free", "exp2_num_115"),
    ("Blowhole", "exp1_num_1000"),
    ("Blowhole", "exp2_num_1300"),
    ("Crack", "exp1_num_1601"),
    ("Crack", "no number"),
]


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    for kind, name in SHOTS:
        write_image(tmp_path / "tiles" / f"MT_{kind}" / "Imgs" / f"{name}.jpg")
        write_image(tmp_path / "tiles" / f"MT_{kind}" / "Imgs" / f"{name}.png", grey=255)
    (tmp_path / "tiles" / "README.md").touch()
    return tmp_path / "tiles"


def read(root: Path, group_tiles: bool = True) -> ImageFiles:
    return magnetic_tile(str(root), group_tiles, "magnetic_tile")


def test_layout(tiles: Path) -> None:
    source = read(tiles)
    assert source.class_names == ["Free", "Blowhole", "Crack"]
    assert source.classes.tolist() == [0, 0, 1, 1, 2, 2]
    assert [Path(path).suffix for path in source.paths] == [".jpg"] * 6
    assert set(source.parts) == {""}
    # that of a normal image is passed over
    assert source.masks == {position: source.paths[position].replace(".jpg", ".png") for position in (2, 3, 4, 5)}
    mask = source.mask(2)
    assert mask is not None
    assert np.asarray(mask).min() == 255
    assert read(tiles.parent).paths == source.paths


def test_shots_of_one_tile_are_a_group(tiles: Path) -> None:
    source = read(tiles)
    assert source.groups == ["tile 100", "tile 100", "tile 1000", "tile 1000", "tile 1601", ""]
    assert "never divided" in source.notes[0]
    source = read(tiles, group_tiles=False)
    assert set(source.groups) == {""}
    assert source.notes == []


def test_without_masks(tiles: Path) -> None:
    for mask in tiles.rglob("*.png"):
        mask.unlink()
    source = read(tiles)
    assert not source.has_masks
    assert source.notes[0].startswith("There are no masks")


def test_errors(tiles: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root is not set: give the folder that holds MT_Free"):
        magnetic_tile(None, True, "magnetic_tile")
    with pytest.raises(FileNotFoundError, match=r"data\.root=.* holds no MT_<kind>/Imgs with images"):
        read(tiles / "MT_Free")
    (tiles / "MT_Crack/Imgs/no number.png").rename(tiles / "MT_Crack/Imgs/other.png")
    with pytest.raises(ValueError, match=r"MT_Crack/Imgs/other\.png is the mask of no image"):
        read(tiles)
    (tiles / "MT_Crack/Imgs/other.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 defective images have no mask, .*no number\.jpg first: add it"):
        read(tiles)


def test_real_tiles() -> None:
    source = read(real_data("magnetic_tile"))
    counts = np.bincount(source.classes).tolist()
    assert dict(zip(source.class_names, counts, strict=True)) == {
        "Free": 952,
        "Blowhole": 115,
        "Break": 85,
        "Crack": 57,
        "Fray": 32,
        "Uneven": 103,
    }
    assert sorted(source.masks) == np.flatnonzero(source.classes).tolist()
    # Shots of the same tile in the files' names: 6984, 7009, 7023, 7036, 7054, 7102; the next is far away.
    numbers = [int(Path(path).stem.split("_")[-1]) for path in source.paths]
    tile = {numbers[position] for position, group in enumerate(source.groups) if group == "tile 6984"}
    assert tile == {6984, 7009, 7023, 7036, 7054, 7102}
    assert len(set(source.groups)) == 184
    assert max(np.unique(source.groups, return_counts=True)[1]) == 24


def test_real_tiles_are_never_divided() -> None:
    source = read(real_data("magnetic_tile"))
    protocol = make_protocol(normal_classes=["Free"], known_anomalies=None, contamination=0.05)
    splits = draw_splits(source.classes, source.parts, protocol, source.class_names, groups=source.groups)
    groups = np.array(source.groups)
    trained = set(groups[np.concatenate([splits.train, splits.train_known])])
    validated = set(groups[np.concatenate([splits.val, splits.val_known])])
    tested = set(groups[splits.test])
    assert not (trained & tested | trained & validated | validated & tested)
    assert len(np.concatenate(splits)) == len(source)
    # 190 of 952 normal ones, half of each kind: 58, 43, 29, 16, 52
    off = np.bincount(source.classes[splits.test]) - np.array([190, 58, 43, 29, 16, 52])
    assert np.abs(off).max() <= 6  # a tile
