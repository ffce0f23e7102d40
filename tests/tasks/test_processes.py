"""Several processes: the same mathematics, every image counted once, one folder, one report."""

from __future__ import annotations

import atexit
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from omegaconf import OmegaConf

from semigan_pl.tasks.fit import build, plain
from semigan_pl.tasks.processes import STRATEGY, processes_to_start, run_in_processes, settle_devices
from tests.commands import ROOT, SMALL, Run, call, command, scores
from tests.conftest import compose_config


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A run of two processes."""
    place = tmp_path_factory.mktemp("two")
    result = command(place, *SMALL, "trainer=ddp", "run=two", "max_images=640")
    assert result.returncode == 0, result.stderr
    return place / "two", result


def test_two_processes_leave_one_run(two: tuple[Path, Run]) -> None:
    folder, result = two
    assert result.stdout.count("training on") == 1
    assert result.stdout.count("Report:") == 1
    assert "arning" not in result.stdout + result.stderr
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["train/images_seen"] == 640
    with (folder / "metrics.csv").open(newline="") as file:
        seen = [int(row["images_seen"]) for row in csv.DictReader(file) if row["train/d_adversarial"]]
    assert seen == [32, 160, 320, 480, 640]  # each once
    assert [path.name for path in folder.parent.iterdir()] == ["two"]


def test_every_image_is_tested_once_and_as_one_process_would(two: tuple[Path, Run]) -> None:
    """The networks of two processes, tested again by one: every score the same to the bit."""
    folder, _ = two
    result = call(folder.parent, f"checkpoint={folder}/checkpoints/last.ckpt", "trainer=cpu", "run=one")
    assert result.returncode == 0, result.stderr
    together, alone = scores(folder), scores(folder.parent / "one")
    assert len(np.unique(together["index"])) == len(together["index"])
    for name, values in alone.items():
        assert np.array_equal(values, together[name]), name
    metrics, expected = (json.loads((f / "metrics.json").read_text()) for f in (folder, folder.parent / "one"))
    for name in (name for name in expected if name.startswith(("val/", "test/")) and "second" not in name):
        assert metrics[name] == expected[name], name


def train_and_keep(config: dict[str, Any]) -> None:
    """Trains, then writes down what this process holds: weights, statistics, averages, moments of the optimizers."""
    parts = build(OmegaConf.create(config))  # type: ignore[arg-type]
    parts.trainer.fit(parts.model, datamodule=parts.data)
    state = dict([*parts.model.named_parameters(), *parts.model.named_buffers()])
    for number, optimizer in enumerate(parts.trainer.optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            state |= {f"optimizer {number}: {name} of {index}": moment for name, moment in moments.items()}
    torch.save(state, Path(config["run"]) / f"rank{parts.trainer.global_rank}.pt")


GROWING = ["+experiment=progressive_digits", "network_sizes.small.fmap_max=8"]  # 4, 8, 16 px
KINDS = {
    "fixed": [*SMALL[2:], "max_images=128"],
    "penalty": [*SMALL[2:], "max_images=128", "loss=wasserstein"],
    "growing": [*GROWING, "max_images=320", "+growth.batch_sizes.16=16"],
    "redrawing": [*SMALL[2:], "max_images=128", "model=ganomaly", "model.gamma=0.5"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_both_processes_hold_the_same(kind: str, tmp_path: Path) -> None:
    config = compose_config(*KINDS[kind], "trainer=ddp", f"run={tmp_path}")
    settle_devices(config)
    assert processes_to_start(config) == 2
    run_in_processes(train_and_keep, plain(config), 2)
    states = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert states[0].keys() == states[1].keys()
    assert any(name.startswith("optimizer 1: exp_avg_sq") for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def complain(config: dict[str, Any]) -> None:
    raise ValueError(f"the disk of {config['run']} is full")


def test_what_a_process_complains_of_is_heard() -> None:
    with pytest.raises(ValueError, match="the disk of here is full"):
        run_in_processes(complain, {"run": "here"}, 2)


def note_what_is_left(config: dict[str, Any]) -> None:
    torch.distributed.init_process_group("gloo")
    torch.distributed.all_reduce(torch.ones(1))

    def note() -> None:
        (Path(config["run"]) / str(os.getpid())).write_text(str(torch.distributed.is_initialized()))

    atexit.register(note)


def test_nothing_connects_the_processes_when_python_ends(tmp_path: Path) -> None:
    """What does may abort the process then: seen once in thirty times on a busy machine."""
    run_in_processes(note_what_is_left, {"run": str(tmp_path)}, 2)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["False", "False"]


def wait_for_ever(config: dict[str, Any]) -> None:
    (Path(config["run"]) / str(os.getpid())).touch()
    time.sleep(600)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_run_leaves_nobody_behind(tmp_path: Path) -> None:
    """Who went on training would write into the folder of the run that continues this one."""
    code = (
        f"import tests.tasks.test_processes as t; t.run_in_processes(t.wait_for_ever, {{'run': {str(tmp_path)!r}}}, 2)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(children := list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    parent.kill()
    parent.wait()
    while any(is_alive(int(child.name)) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_batch_that_cannot_be_shared(tmp_path: Path) -> None:
    result = call(tmp_path, *SMALL, "trainer=ddp", "data.batch_size=31", "max_images=62", "run=odd")
    assert result.returncode != 0
    assert "data.batch_size=31 cannot be shared by 2 processes" in result.stderr


def test_a_multirun_of_several_processes_runs_every_job_once(tmp_path: Path) -> None:
    result = command(tmp_path, "-m", "model.gamma=0.5,1", "trainer=ddp", "max_images=64", *SMALL)
    assert result.returncode == 0, result.stderr
    finished = sorted(path.parent.name for path in (tmp_path / "multirun" / "digits").rglob("metrics.json"))
    assert len(finished) == 2
    assert result.stdout.count("Report:") == 2


@pytest.mark.parametrize(
    ("typed", "devices"),
    [((), 0), (("trainer=ddp",), 2), (("trainer=ddp", "trainer.devices=3"), 3), (("trainer.devices=2",), 2)],
)
def test_how_many(typed: tuple[str, ...], devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    config = compose_config(*typed)
    settle_devices(config)
    assert config.trainer.accelerator == "cpu"
    assert processes_to_start(config) == devices
    if devices:
        assert config.trainer.strategy == STRATEGY


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"trainer\.accelerator=gpu, and torch sees no GPU .* add trainer=cpu"):
        settle_devices(compose_config("+experiment=caltech256"))


@pytest.mark.parametrize(
    ("devices", "words"), [("99", "asks for 99 processes, but there are 8"), ("0", "1 or more"), ("-1", "1 or more")]
)
def test_more_than_the_machine_has(devices: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    with pytest.raises(ValueError, match=words):
        settle_devices(compose_config(f"trainer.devices={devices}"))


PATHS = {
    "nonsaturating": [*GROWING, "growth=none", "optimizer=adam", "loss=nonsaturating", "max_images=160"],
    "penalty": [*GROWING, "growth=none", "optimizer=adam", "max_images=160"],
    "growing": [*GROWING, "max_images=320"],
}


@pytest.mark.parametrize("kind", PATHS)
def test_two_processes_take_the_path_of_one(kind: str, tmp_path: Path) -> None:
    """Same global batch, same noise, nets without batch statistics: the same weights, but for the order of sums.

    Five steps of Adam move a weight by up to 1e-3, other noise would send many elsewhere; sums differ by 1e-5.
    """
    typed = [*PATHS[kind], "trainer.log_every_n_steps=1", "model.discriminator.group_size=1"]
    states = []
    for trainer in ("cpu", "ddp"):
        config = compose_config(*typed, f"trainer={trainer}", f"run={tmp_path / trainer}")
        (tmp_path / trainer).mkdir()
        settle_devices(config)
        if n := processes_to_start(config):
            run_in_processes(train_and_keep, plain(config), n)
        else:
            train_and_keep(plain(config))
        states.append(torch.load(tmp_path / trainer / "rank0.pt", weights_only=True))
    before = build(compose_config(*typed, f"run={tmp_path / 'x'}")).model.state_dict()
    names = [name for name, value in before.items() if isinstance(value, torch.Tensor)]
    for name in names:
        torch.testing.assert_close(states[1][name], states[0][name], rtol=0, atol=1e-4)
    moved = [name for name in names if not torch.equal(states[0][name], before[name])]
    assert "generator.project.weight" in moved
    if kind == "growing":  # every resolution had its time
        assert {f"generator.to_rgb.{level}.weight" for level in range(3)} <= set(moved)
