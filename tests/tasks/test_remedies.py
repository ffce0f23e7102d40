"""What task=check warns of: copies, broken files, shortcuts, sizes, masks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from semigan_pl.tasks.findings import find
from semigan_pl.tasks.remedies import warnings
from tests.data.test_sources import real_data
from tests.tasks.photos import build, options, write_images, write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def warned(*overrides: str) -> list[str]:
    data = build(*overrides)
    return warnings(data, find(data))


# --- copies and broken files ----------------------------------------------------------------------------------------


def test_faultless_photos(photos: Path) -> None:
    assert warned(*options(photos)) == []


def copy(photos: Path, original: str, duplicate: str) -> None:
    """As another kind of file: it is the pixels that count."""
    Image.open(photos / original).save((photos / duplicate).with_suffix(".bmp"))


def test_copies_that_matter(photos: Path) -> None:
    copy(photos, "train/normal/000_0.png", "train/normal/copy")  # harmless
    assert warned(*options(photos)) == []
    copy(photos, "test/anomalous/001_0.png", "test/normal/copy")
    (contradiction,) = warned(*options(photos))
    assert contradiction.startswith("1 group of identical images (such as ")
    assert contradiction.endswith("labelled both normal and anomalous: keep the one whose label is right")
    copy(photos, "train/normal/002_0.png", "test/normal/copy2")
    copy(photos, "train/normal/003_0.png", "test/normal/copy3")
    leak, same_contradiction = warned(*options(photos))
    assert leak.startswith("2 groups of identical images (such as ")
    assert leak.endswith("on both sides of training and test: the test is not unseen; remove the copies")
    assert same_contradiction == contradiction
    copies = find(build(*options(photos))).copies
    assert [(group.is_leak, group.is_contradictory) for group in copies] == [
        (True, False),
        (True, False),
        (False, True),
        (False, False),
    ]
    assert {"test"} < set(copies[0].splits) <= {"train", "val", "test"}


def test_broken_images(photos: Path) -> None:
    (photos / "test" / "normal" / "broken.png").write_text("no image")
    (warning,) = warned(*options(photos))
    assert warning.startswith("1 of 91 images cannot be read (such as ")
    assert "broken.png" in warning
    assert warning.endswith("go on without them with data.skip_broken=true")
    assert warned(*options(photos, "data.skip_broken=true")) == []


# --- shortcuts ------------------------------------------------------------------------------------------------------


def test_brightness_is_a_shortcut_until_it_is_scaled_away(photos: Path) -> None:
    write_images(photos / "test" / "anomalous", 20, brightness=160)
    (warning,) = warned(*options(photos))
    assert re.fullmatch(
        r"mean grey value alone \(AUROC 1\.000, median 1[12]\d.* against 1[56]\d.*\) separates normal from anomalous"
        r" test images \(20 and 20\): a detector would learn brightness, not defects; scale it away with"
        r" data\.mean_grey=128",
        warning,
    )
    assert not [line for line in warned(*options(photos, "data.mean_grey=128")) if "mean grey value alone" in line]


def test_shift_between_training_and_test(photos: Path) -> None:
    for kind in ("normal", "anomalous"):
        write_images(photos / "test" / kind, 20, brightness=90)
    (warning,) = warned(*options(photos, "data.known_anomalies=0"))
    assert "separates normal training images from normal test images (40 and 20)" in warning
    assert "anything new would be called anomalous by brightness" in warning


def test_known_anomalies_of_another_size(photos: Path) -> None:
    write_images(photos / "train" / "anomalous", 10, size=(24, 16))
    contrast, size = warned(*options(photos))  # larger images make larger files: that needs no warning of its own
    assert contrast.startswith("contrast alone")  # shrinking has smoothed the noise
    assert size.startswith("width alone (AUROC 1.000, median 16 against 24) and aspect alone (AUROC 1.000, median 1 ag")
    assert "separate unlabelled images from known anomalies (40 and 10)" in size
    assert size.endswith("cut and scale all images to one size by the same steps")


def test_few_images_prove_nothing(tmp_path: Path) -> None:
    for folder, brightness in (("normal", 60), ("anomalous", 200)):
        write_images(tmp_path / folder, 12, brightness)
    assert warned(*options(tmp_path)) == []


# --- sizes and masks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        (2, None),
        (1, "images are 16 times as large as data.image_size=1 (median): a defect smaller than 16 x 16 px"),
        (32, None),
        (48, "images are blown up 3.0 times to data.image_size=48 (median)"),
    ],
)
def test_sizes(photos: Path, image_size: int, expected: str | None) -> None:
    found = [
        line for line in warned(*options(photos, f"data.image_size={image_size}")) if line.startswith("images are")
    ]
    assert [line[: len(expected or "")] for line in found] == ([expected] if expected else [])


def surfaces(**knobs: Any) -> list[str]:
    small = ["data.train_images=30", "data.train_anomalies=10", "data.known_anomalies=5", "data.test_images=20"]
    return ["data=surface", *small, *(f"data.{name}={value}" for name, value in knobs.items())]


def test_defects_that_vanish() -> None:
    data = build(*surfaces())
    findings = find(data)
    assert findings.masks is not None
    assert len(findings.masks.areas) == 10
    for position, area in findings.masks.areas.items():
        mask = data.source.mask(position)
        assert mask is not None
        assert area == data.image_format.mask(mask).sum()  # made at the size that the network sees
    assert warnings(data, findings) == []
    data.image_format = replace(data.image_format, image_size=4)
    (warning,) = (line for line in warnings(data, find(data)) if line.startswith("the marked defects"))
    assert "cover less than one pixel at data.image_size=4" in warning


# --- real images ----------------------------------------------------------------------------------------------------


def test_the_screws_are_given_away_by_brightness() -> None:
    root = real_data("mvtec_ad")
    screws = ("data=mvtec", f"data.root={root}", "data.category=screw", "data.image_size=32", "data.channels=1")
    found = warned(*screws)
    assert found[0].startswith("mean grey value alone (AUROC 1.000, median 170")
    assert "separates normal from anomalous test images (41 and 119)" in found[0]
    assert any("mean grey value alone" in line and "normal training images" in line for line in found)
    assert warned(*screws, "data.mean_grey=128") == []


def test_the_tiles_have_no_shortcut() -> None:
    data = build("data=magnetic_tile", f"data.root={real_data('magnetic_tile')}")
    findings = find(data)
    assert warnings(data, findings) == []
    for comparison in findings.comparisons:
        assert comparison.seen["mean"].separation.strength < 0.6
    assert findings.masks is not None
    assert len(findings.masks.empty) + len(findings.masks.areas) == len(data.source.classes[data.splits.test]) - 192
