"""Training curves: one file over all sessions of a run."""

from __future__ import annotations

import csv
from pathlib import Path

from semigan_pl.loggers.curves import CurveLogger


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log(folder: Path, *steps: int, loss: float = 0.5) -> CurveLogger:
    """A session that logs one term at these steps."""
    logger = CurveLogger(str(folder))
    for step in steps:
        logger.log_metrics({"train/d_adversarial": loss}, step=step)
    return logger


def test_rows_are_on_disk_as_soon_as_they_are_logged(tmp_path: Path) -> None:
    logger = CurveLogger(str(tmp_path / "not" / "there" / "yet"))
    logger.log_metrics({"train/a": 1 / 3, "train/b": 2.0}, step=64)
    expected = {"images_seen": "64", "train/a": repr(1 / 3), "train/b": "2.0"}
    assert read(logger.path.parent) == [expected]
    logger.log_metrics({"train/a": 3.0, "train/b": 4.0}, step=128)
    assert [row["images_seen"] for row in read(logger.path.parent)] == ["64", "128"]
    assert logger.path.read_text().startswith("images_seen,train/a,train/b\n")


def test_a_new_session_continues_the_file(tmp_path: Path) -> None:
    log(tmp_path, 64, 128, loss=1.5)
    log(tmp_path, 192, loss=2.5)
    rows = read(tmp_path)
    assert [row["images_seen"] for row in rows] == ["64", "128", "192"]
    assert [row["train/d_adversarial"] for row in rows] == ["1.5", "1.5", "2.5"]


def test_rows_beyond_the_restart_are_forgotten(tmp_path: Path) -> None:
    log(tmp_path, 64, 128, 192, 256, loss=1.5)
    log(tmp_path, 192, 256, 320, loss=2.5)
    rows = read(tmp_path)
    assert [row["images_seen"] for row in rows] == ["64", "128", "192", "256", "320"]
    assert [row["train/d_adversarial"] for row in rows] == ["1.5"] * 2 + ["2.5"] * 3


def test_a_session_that_logs_nothing_changes_nothing(tmp_path: Path) -> None:
    log(tmp_path, 64, 128)
    before = (tmp_path / "metrics.csv").read_bytes()
    log(tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_term_that_comes_later_gets_a_column(tmp_path: Path) -> None:
    logger = log(tmp_path, 64)
    logger.log_metrics({"train/d_adversarial": 1.0, "train/g_adversarial": 2.0}, step=128)
    logger.log_metrics({"train/d_adversarial": 3.0}, step=192)
    rows = read(tmp_path)
    assert list(rows[0]) == ["images_seen", "train/d_adversarial", "train/g_adversarial"]
    assert [row["train/g_adversarial"] for row in rows] == ["", "2.0", ""]


def test_another_session_may_bring_other_terms(tmp_path: Path) -> None:
    log(tmp_path, 64, loss=1.5)
    CurveLogger(str(tmp_path)).log_metrics({"train/d_penalty": 4.0}, step=128)
    assert read(tmp_path) == [
        {"images_seen": "64", "train/d_adversarial": "1.5", "train/d_penalty": ""},
        {"images_seen": "128", "train/d_adversarial": "", "train/d_penalty": "4.0"},
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv"]


def test_two_callers_at_one_step_share_a_row(tmp_path: Path) -> None:
    logger = log(tmp_path, 64, 128)
    logger.log_metrics({"health/diversity": 0.75}, step=128)
    log(tmp_path, 192)
    rows = read(tmp_path)
    assert [row["images_seen"] for row in rows] == ["64", "128", "192"]
    assert [row["health/diversity"] for row in rows] == ["", "0.75", ""]
    assert [row["train/d_adversarial"] for row in rows] == ["0.5"] * 3
