"""MVTec AD and its relatives: kinds, parts, masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.mvtec import mvtec
from semigan_pl.data.splits import draw_splits
from tests.data.protocols import make_protocol
from tests.data.test_sources import real_data, write_image

SCREW = [
    *(f"train/good/00{image}.png" for image in range(3)),
    "test/good/000.png",
    "test/scratch/000.png",
    "test/scratch/001.png",
    "test/bent/000.png",
    "ground_truth/scratch/000_mask.png",
    "ground_truth/scratch/001_mask.png",
    "ground_truth/bent/000_mask.png",
]


def make(base: Path, names: list[str]) -> Path:
    for name in names:
        write_image(base / name, grey=255 if "ground_truth" in name else 0)
    return base


def read(root: Path, category: str | None = None, split_defects: bool = False) -> ImageFiles:
    return mvtec(str(root), category, split_defects, "mvtec")


def names(source: ImageFiles) -> list[str]:
    return [source.class_names[label] for label in source.classes]


def test_layout(tmp_path: Path) -> None:
    base = make(tmp_path / "screw", SCREW)
    (base / "readme.txt").touch()
    source = read(base)
    assert source.class_names == ["good", "bent", "scratch"]
    assert names(source) == ["good"] * 3 + ["bent", "good", "scratch", "scratch"]
    assert source.parts.tolist() == ["train"] * 3 + ["test"] * 4
    assert {position: Path(mask).relative_to(base).as_posix() for position, mask in source.masks.items()} == {
        3: "ground_truth/bent/000_mask.png",
        5: "ground_truth/scratch/000_mask.png",
        6: "ground_truth/scratch/001_mask.png",
    }
    mask = source.mask(3)
    assert mask is not None
    assert np.asarray(mask).min() == 255
    assert source.notes == ["Category: screw."]
    for root, category in ((base, "screw"), (tmp_path, "screw"), (tmp_path, None)):
        assert read(root, category).paths == source.paths


def test_defects_can_be_divided(tmp_path: Path) -> None:
    source = read(make(tmp_path / "screw", SCREW), split_defects=True)
    assert source.parts.tolist() == ["train"] * 3 + ["", "test", "", ""]
    assert len(source.masks) == 3
    assert "split_defects" in source.notes[1]
    protocol = make_protocol(normal_classes=["good"], known_anomalies=None)
    splits = draw_splits(source.classes, source.parts, protocol, source.class_names)
    assert [names(source)[position] for position in splits.test] == ["bent", "good", "scratch"]  # odd ones are tested
    assert [names(source)[position] for position in splits.train_known] == ["scratch"]


def test_relatives(tmp_path: Path) -> None:
    """Other suffixes, masks without `_mask`, another word for good, masks of good images, validation images."""
    for mask in ("000.png", "000_mask.bmp"):
        base = make(
            tmp_path / mask,
            [
                "train/ok/1.bmp",
                "validation/ok/1.bmp",
                "test/ok/1.JPG",
                "test/ko/000.JPG",
                f"ground_truth/ko/{mask}",
                "ground_truth/ok/1.png",
            ],
        )
        source = read(base)
        assert (names(source), source.parts.tolist()) == (["ok", "ok", "ko", "ok"], ["train", "val", "test", "test"])
        assert source.masks == {2: str(base / "ground_truth" / "ko" / mask)}


def test_without_masks(tmp_path: Path) -> None:
    source = read(make(tmp_path / "screw", [name for name in SCREW if "ground_truth" not in name]))
    assert not source.has_masks
    assert source.notes[1] == "There is no folder ground_truth, so nothing is known of defective pixels."


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        (
            "ground_truth/bent/000_mask.png",
            "",
            r"1 of 3 defective images have no mask, .*test/bent/000\.png first: add",
        ),
        ("test/bent/000.png", "", r"ground_truth/bent/000_mask\.png is the mask of no image in .*test"),
        ("", "ground_truth/bent/000.png", r"test/bent/000\.png has two masks"),
    ],
)
def test_errors_of_masks(tmp_path: Path, removed: str, added: str, message: str) -> None:
    make(tmp_path / "screw", [*SCREW, *([added] if added else [])])
    if removed:
        (tmp_path / "screw" / removed).unlink()
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_errors_of_the_category(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root is not set: .*data\.category"):
        mvtec(None, None, False, "mvtec")
    with pytest.raises(FileNotFoundError, match=r"data\.root=.* holds no category screw: give a category's folder"):
        read(tmp_path, "screw")
    make(tmp_path / "screw", SCREW)
    make(tmp_path / "cable", SCREW)
    with pytest.raises(ValueError, match=r"holds several categories: add data\.category=cable\|screw"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"data\.category=nut is not in data\.root=.*: choose among cable, screw"):
        read(tmp_path, "nut")
    make(tmp_path / "empty", ["train/bad/1.png", "test/good/1.png"])
    with pytest.raises(FileNotFoundError, match=r"empty holds no images in train/good"):
        read(tmp_path / "empty")


def test_real_screw() -> None:
    source = mvtec(str(real_data("mvtec_ad")), "screw", False, "mvtec")
    counts = {part: np.bincount(source.classes[source.parts == part], minlength=6) for part in ("train", "test")}
    assert counts["train"].tolist() == [320, 0, 0, 0, 0, 0]
    assert counts["test"].tolist() == [41, 24, 24, 25, 23, 23]
    assert len(source.masks) == 119
    assert sorted(source.masks) == np.flatnonzero(source.classes).tolist()
    for position, mask in list(source.masks.items())[::40]:
        assert Path(mask).stem == Path(source.paths[position]).stem + "_mask"
        assert Path(mask).parent.name == source.class_names[source.classes[position]]
        marked = source.mask(position)
        assert marked is not None
        assert marked.size == source.read(position).size
