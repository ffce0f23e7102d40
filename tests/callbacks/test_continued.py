"""Killed in the middle of the test and continued, a run ends with the files of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from semigan_pl.methods.base import AnomalyModule
from semigan_pl.tasks import fit
from semigan_pl.types import Prediction
from tests.commands import ROOT, call

SURFACES = [  # maps and masks, so that pixels are counted
    "data=surface",
    "data.image_size=16",
    "data.train_images=120",
    "data.train_anomalies=40",
    "data.known_anomalies=10",
    "data.test_images=60",
    "data.defect_share=0.05",
    "network_sizes.small.width=8",
    "search.steps=1",
    "search.starts=4",
    "max_images=64",
    "block_size=8",
    "callbacks.score_writer.examples=3",
    "callbacks.score_writer.seconds=0",
]
KILLED = """
import os, signal
import run
from semigan_pl.callbacks.journal import Journal
from semigan_pl.callbacks.score_writer import ScoreWriter

go_on, keep = ScoreWriter.on_test_batch_end, Journal.keep
batches = []

def after_a_batch(self, trainer, module, outputs, batch, batch_idx, *others):
    batches.append(batch_idx)
    go_on(self, trainer, module, outputs, batch, batch_idx, *others)
    if len(batches) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

def for_a_while(self, scored):
    if len(batches) <= 3:
        keep(self, scored)

ScoreWriter.on_test_batch_end, Journal.keep = after_a_batch, for_a_while
run.cli()
"""


def left(folder: Path) -> dict[str, Any]:
    """What a run left, but for its times."""
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test/pixel_images"] > 10
    files = {name: (folder / name).read_bytes() for name in ("scores.csv", "examples.npz")}
    assert not (folder / "scoring").exists()
    return files | {name: value for name, value in metrics.items() if "second" not in name}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("undisturbed")
    result = call(place, *SURFACES, "run=all")
    assert result.returncode == 0, result.stderr
    return left(place / "all")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Place of a run that was killed after five batches of the test, of which three can be continued."""
    place = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", KILLED, *SURFACES, "run=all"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=place, env=environment, capture_output=True, timeout=300)
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    return place


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Images in every batch that is inspected from now on."""
    sizes, predict = [], AnomalyModule.predict

    def counted(self: AnomalyModule, images: Tensor) -> Prediction:
        sizes.append(len(images))
        return predict(self, images)

    monkeypatch.setattr(AnomalyModule, "predict", counted)
    return sizes


def test_what_was_scored_is_not_scored_again(
    killed: Path, undisturbed: dict[str, Any], inspected: list[int], tmp_path: Path
) -> None:
    shutil.copytree(killed / "all", tmp_path / "all")
    result = call(tmp_path, "run=all", "checkpoint=last")
    assert result.returncode == 0, result.stderr
    assert left(tmp_path / "all") == undisturbed
    rows = undisturbed["scores.csv"].count(b"\n") - 1
    assert sum(inspected) == rows - 3 * 8  # and nothing of the validation
    assert f"24/{rows} images" in result.stdout


def test_more_processes_may_go_on(killed: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """Of the validation nothing is left to either of them."""
    shutil.copytree(killed / "all", tmp_path / "all")
    result = call(tmp_path, "run=all", "checkpoint=last", "trainer=ddp")
    assert result.returncode == 0, result.stderr
    assert left(tmp_path / "all") == undisturbed


def test_the_report_alone_is_missing(
    undisturbed: dict[str, Any], inspected: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything is scored already: Lightning has no batch, and the run still comes to its end."""

    def fail(*_: Any) -> None:
        raise ValueError("no report")

    with monkeypatch.context() as patch:
        patch.setattr(fit, "write_report", fail)
        assert call(tmp_path, *SURFACES, "run=all").stderr.endswith("no report")
    inspected.clear()
    result = call(tmp_path, "run=all", "checkpoint=last")
    assert result.returncode == 0, result.stderr
    assert left(tmp_path / "all") == undisturbed
    assert inspected == []
