"""task=check: what it prints, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.tasks.check import check, strips
from semigan_pl.tasks.findings import find
from tests.conftest import compose_config
from tests.tasks.photos import build, options, write_images, write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


# --- the task -------------------------------------------------------------------------------------------------------


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, with single blanks."""
    return " ".join(capsys.readouterr().out.split())


def test_digits_have_no_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose_config("data=digits", f"run={tmp_path / 'run'}")
    check(config)
    out = printed(capsys)
    assert "digits: 1,053 images used of 1,797" in out
    assert "8 normal 125 14 35 0 hidden, known, tested 1 10 89 1 hidden" in out
    assert "all 138 45 16 5 849" in out
    assert "Hidden in training: 13 of 138 unlabelled images (9.4%) are anomalies." in out
    assert "16 x 16 px in grey, whole, enlarged 2.0 times" in out
    assert "No problem found." in out
    assert out.endswith(f"Contact sheet: {tmp_path / 'run' / 'check.png'}")
    facts = json.loads((tmp_path / "run" / "check.json").read_text())
    assert facts["warnings"] == facts["copies"] == facts["broken"] == []
    assert facts["masks"] is None
    assert facts["roles"]["8"] == ["normal"]
    assert facts["roles"]["2"] == ["known", "tested"]
    assert sum(facts["counts"]["train"].values()) == 138
    assert facts["sizes"] == {"8 x 8": 1053}
    assert [comparison["groups"] for comparison in facts["comparisons"]] == [
        ["normal", "anomalous"],
        ["unlabelled", "known"],
        ["training", "test"],
    ]
    with Image.open(tmp_path / "run" / "check.png") as sheet:
        assert sheet.width > 1000
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["check.json", "check.png"]


def test_every_warning_is_printed_and_kept(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(photos / "test" / "anomalous", 20, brightness=180)
    (photos / "train" / "normal" / "broken.png").write_text("no image")
    check(compose_config(*options(photos, f"run={tmp_path / 'run'}")))
    out = printed(capsys)
    facts = json.loads((tmp_path / "run" / "check.json").read_text())
    assert len(facts["warnings"]) == 2
    # rich wraps lines, within long paths too
    for number, warning in enumerate(facts["warnings"], 1):
        assert re.sub(r"\s", "", f"Warning {number}: {warning}.") in re.sub(r"\s", "", out)
    assert "No problem" not in out
    assert facts["comparisons"][0]["as_seen"]["mean grey value"]["is_shortcut"]


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"data\.root=.*nowhere is not a folder"):
        check(compose_config("data=folder", f"data.root={tmp_path / 'nowhere'}", f"run={tmp_path / 'run'}"))
    assert not (tmp_path / "run").exists()


# --- the contact sheet ----------------------------------------------------------------------------------------------


def test_strips_tell_hidden_anomalies_from_normal_images() -> None:
    data = build("data=digits")
    found = {strip.title: strip for strip in strips(data, find(data))}
    assert list(found)[:4] == [
        "Training and validation, normal: 8 (139)",
        "Training and validation, anomalies hidden among the normal images (15)",
        "Training and validation, known anomalies (50)",
        "Test, normal: 8 (35)",
    ]
    assert list(found)[4:] == [f"Test, anomalous: {digit} ({n})" for digit, n in digits_tested(data)]
    hidden = found["Training and validation, anomalies hidden among the normal images (15)"]
    assert hidden.is_anomalous
    assert hidden.captions == ["0", "1", "3", "4", "5", "6", "7", "9"]  # one of each class before a second
    assert {image.shape for strip in found.values() for image in strip.images} == {(1, 16, 16)}
    assert {len(strip.images) for strip in found.values()} == {8}


def digits_tested(data: AnomalyDataModule) -> Iterator[tuple[int, int]]:
    """Digit and number of its test images, for the anomalous digits."""
    counts = np.bincount(data.source.classes[data.splits.test])
    yield from ((digit, int(count)) for digit, count in enumerate(counts) if digit != 8)


def test_names_that_are_not_utf8(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind = photos / "test" / "anomalous" / os.fsdecode(b"kind\xff")
    kind.mkdir()
    for path in sorted((photos / "test" / "anomalous").glob("*.png"))[:5]:
        path.rename(kind / os.fsdecode(b"a\xfe" + os.fsencode(path.name)))
    (photos / "train" / "normal" / os.fsdecode(b"broken\xfd.png")).write_text("no image")
    shutil.copy(next(kind.iterdir()), photos / "train" / "anomalous" / "copy.png")
    check(compose_config(*options(photos, f"run={tmp_path / 'run'}")))
    out = printed(capsys)
    for word in ("kind\\udcff", "a\\udcfe", "broken\\udcfd.png"):
        assert word in out
    facts = json.loads((tmp_path / "run" / "check.json").read_text())
    assert "broken\\udcfd.png" in facts["broken"][0]
    assert "kind\\udcff" in facts["roles"]
    json.dumps(facts, ensure_ascii=False).encode()  # nothing that UTF-8 cannot hold
