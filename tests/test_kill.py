"""Killed at any moment of growing and continued, a training ends with the weights of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.commands import ROOT, call

GROWING = [  # 4 px until 96 images, a fade until 192, 8 px until 288, a fade until 384, 16 px until 480
    "+experiment=progressive_digits",
    "network_sizes.small.fmap_max=8",
    "max_images=480",
    "data.batch_size=32",
    "data.test_limit=60",
    "search.steps=1",
    "search.starts=4",
    "trainer.log_every_n_steps=1",
    "callbacks.checkpoint.images=64",
]
KILLED = """
import os, signal, sys
from pathlib import Path
import pytorch_lightning as pl
import run
from semigan_pl.callbacks.checkpoint import PeriodicCheckpoint

moment, images = sys.argv.pop(1), int(sys.argv.pop(1))
go_on, save = PeriodicCheckpoint.on_train_batch_end, pl.Trainer.save_checkpoint

def after_a_step(self, trainer, module, *others):
    go_on(self, trainer, module, *others)
    if moment == "after" and module.images_seen == images:
        os.kill(os.getpid(), signal.SIGKILL)

def half_written(self, path, *others, **more):
    save(self, path, *others, **more)
    if moment == "writing" and self.lightning_module.images_seen == images:
        os.truncate(path, Path(path).stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

PeriodicCheckpoint.on_train_batch_end, pl.Trainer.save_checkpoint = after_a_step, half_written
run.cli()
"""


def trained(folder: Path) -> dict[str, Any]:
    """What the training left: weights, statistics, counters, optimizers."""
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {"state_dict": content["state_dict"], "optimizers": content["optimizer_states"]}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Places in nested containers where two of them differ; tensors to the bit."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [where]
    if isinstance(one, (dict, list)):
        keys = list(one) if isinstance(one, dict) else range(len(one))
        if (list(other) if isinstance(one, dict) else range(len(other))) != keys:
            return [f"{where}: other keys"]
        return [place for key in keys for place in differences(one[key], other[key], f"{where}.{key}")]
    return [] if one == other else [f"{where}: {one} and {other}"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("undisturbed")
    result = call(place, *GROWING, "run=all")
    assert result.returncode == 0, result.stderr
    return trained(place / "all")


@pytest.mark.parametrize(
    ("moment", "images", "saved"),
    [
        ("after", 160, 128),  # in a fade, a step after the last checkpoint
        ("after", 192, 192),  # at a border: the checkpoint holds optimizers that have just forgotten
        ("after", 288, 256),  # at the border of a phase, before its checkpoint
        ("writing", 320, 256),  # in a fade, the checkpoint of this moment half written
    ],
)
def test_killed_and_continued(
    moment: str, images: int, saved: int, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, moment, str(images), *GROWING, "run=all"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    last = torch.load(tmp_path / "all" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["state_dict"]["_extra_state"]["images_seen"] == saved
    result = call(tmp_path, "run=all", "checkpoint=last")
    assert result.returncode == 0, result.stderr
    assert differences(undisturbed, trained(tmp_path / "all")) == []


def test_differences_are_found() -> None:
    one = {"a": [torch.zeros(2), 1]}
    assert differences(one, {"a": [torch.zeros(2), 1]}) == []
    assert differences(one, {"a": [torch.ones(2), 2]}) == [".a.0", ".a.1: 1 and 2"]
    assert differences(one, {"a": [torch.ones(2)]}) == [".a: other keys"]
