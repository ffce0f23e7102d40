"""Several machines: two "nodes" on the loopback, as torchrun and SLURM start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semigan_pl.tasks.launched import Launch, is_first_here, launch
from semigan_pl.tasks.processes import _free_port, processes_to_start, settle_devices
from tests.commands import ROOT, SMALL, Run, call, scores
from tests.conftest import compose_config

SLURM = {
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "2",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_LOCALID": "0",
}


def torchrun(node: int, port: int) -> list[str]:
    where = [f"--node-rank={node}", "--master-addr=127.0.0.1", f"--master-port={port}"]
    return [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *where]


def as_torchrun(cwd: Path, *arguments: str) -> list[Run]:
    port = _free_port()
    return both(cwd, [[*torchrun(node, port), str(ROOT / "run.py"), *arguments] for node in (0, 1)], [{}, {}])


def as_srun(cwd: Path, *arguments: str) -> list[Run]:
    shared = SLURM | {"MASTER_PORT": str(_free_port())}
    numbers = [{"SLURM_PROCID": str(node), "SLURM_NODEID": str(node)} for node in (0, 1)]
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    return both(cwd, [command, command], [shared | own for own in numbers])


def both(cwd: Path, commands: list[list[str]], variables: list[dict[str, str]]) -> list[Run]:
    """What both nodes said, the first one first."""
    started = [
        subprocess.Popen(
            command, cwd=cwd, env=os.environ | own, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for command, own in zip(commands, variables, strict=True)
    ]
    try:
        said = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Run(process.args, process.returncode, *texts) for process, texts in zip(started, said, strict=True)]


TYPED = [*SMALL, "trainer=ddp", "run=two", "data.cache_memory_mb=0", "data.cache_dir=cache"]


def check(said: list[Run]) -> None:
    """Both nodes came to the end, and only the first one spoke."""
    first, second = said
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout.count("training on") == first.stdout.count("Report:") == 1
    assert second.stdout == ""


def test_two_nodes_of_torchrun_leave_one_run(tmp_path: Path) -> None:
    """One folder, one report, every image once; stopped half-way and continued; scored again by one process."""
    check(as_torchrun(tmp_path, *TYPED, "max_images=64"))
    check(as_torchrun(tmp_path, *TYPED, "max_images=128", "checkpoint=last"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "two"]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["train/images_seen"] == 128
    together = scores(tmp_path / "two")
    assert len(np.unique(together["index"])) == len(together["index"])
    again = call(tmp_path, "checkpoint=two/checkpoints/last.ckpt", "trainer=cpu", "run=one")
    assert again.returncode == 0, again.stderr
    for name, values in scores(tmp_path / "one").items():
        assert np.array_equal(values, together[name]), name


def test_two_tasks_of_slurm_leave_one_run(tmp_path: Path) -> None:
    check(as_srun(tmp_path, *TYPED, "max_images=64"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "two"]
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["train/images_seen"] == 64


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun leaves it to the second of 2 x 2 processes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    variables = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_has_started(launched: None) -> None:
    assert launch() == Launch("torchrun", processes=4, here=2, place=1)
    assert not is_first_here()


def test_who_was_launched_launches_nobody(launched: None) -> None:
    assert processes_to_start(compose_config("trainer=ddp", "trainer.devices=2")) == 0


def test_torchrun_alone_is_no_launch(launched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert launch() is None
    assert processes_to_start(compose_config("trainer=ddp", "trainer.devices=2")) == 2


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["trainer=ddp"], "add run=FOLDER"),
        (["trainer=ddp", "trainer.num_nodes=1", "run=x"], "are 2: type trainer.devices=2 trainer.num_nodes=2"),
        (["trainer=ddp", "trainer.devices=1", "run=x"], "trainer.devices=1 on trainer.num_nodes=2 machines"),
        (["run=x"], "trainer.devices=1 on trainer.num_nodes=1 machines"),
        (["trainer=ddp", "run=x", "data.download=true"], "fetch first"),
        (["-m", "trainer=ddp", "model.gamma=0.5"], "a multirun cannot be started by torchrun"),
    ],
)
def test_what_the_processes_of_torchrun_cannot_agree_on(
    typed: list[str], words: str, launched: None, tmp_path: Path
) -> None:
    result = call(tmp_path, *typed)
    assert result.returncode != 0
    assert words in result.stderr


def test_machines_that_nobody_starts() -> None:
    with pytest.raises(ValueError, match="num_nodes=2 needs torchrun or SLURM"):
        settle_devices(compose_config("trainer=ddp", "trainer.num_nodes=2"))


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_an_interactive_shell_of_slurm_is_no_launch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (SLURM | {"SLURM_JOB_NAME": name}).items():
        monkeypatch.setenv(variable, value)
    assert launch() is None
    assert processes_to_start(compose_config("trainer=ddp", "trainer.devices=2")) == 2


def test_slurm_has_to_say_how_many_per_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SLURM.items():
        monkeypatch.setenv(variable, value)
    assert launch() == Launch("SLURM", processes=2, here=1, place=0)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(ValueError, match="add --ntasks-per-node"):
        launch()
