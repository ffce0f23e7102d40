"""A rehearsal that leaves no trace, says what does not fit, and tells the time."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from semigan_pl.callbacks import rehearsal
from semigan_pl.callbacks.rehearsal import GIB, Memory, Rehearsal, announcement, rising, to_come
from semigan_pl.growth import Phase
from semigan_pl.tasks.fit import Parts, build
from tests.callbacks.test_growth import SCHEDULE
from tests.commands import call
from tests.conftest import compose_config

SMALL = [
    "trainer.log_every_n_steps=1",
    "network_sizes.small.fmap_max=8",
    "callbacks.rehearsal.steps=1",
    "data.test_limit=60",
    "block_size=8",
]


def parts_of(folder: Path, *overrides: str) -> Parts:
    return build(compose_config("+experiment=progressive_digits", *SMALL, f"run={folder}", *overrides))


def test_nothing_of_it_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, statistics, counters, optimizers, gradients, stage: as before, to the bit."""
    parts = parts_of(tmp_path, "max_images=160", "data.batch_size=32")
    seen: list[Any] = []

    def state() -> Any:
        optimizers = [optimizer.state_dict() for optimizer in parts.trainer.optimizers]
        gradients = [parameter.grad for parameter in parts.model.parameters()]
        stage = parts.model.generator.stage  # type: ignore[union-attr]
        return copy.deepcopy((parts.model.state_dict(), optimizers, gradients, stage, parts.model.training))

    begin = Rehearsal.on_train_start

    def watched(self: Rehearsal, *arguments: Any) -> None:
        seen.append(state())
        begin(self, *arguments)
        seen.append(state())

    monkeypatch.setattr(Rehearsal, "on_train_start", watched)
    parts.trainer.fit(parts.model, datamodule=parts.data)
    (weights, *others), (weights_after, *others_after) = seen
    for name, value in weights.items():
        same = torch.equal(value, weights_after[name]) if isinstance(value, Tensor) else value == weights_after[name]
        assert same, name
    assert others == others_after


@pytest.mark.parametrize("model", ["semigan", "fanogan"])
def test_a_training_goes_the_same_way_without_it(model: str, tmp_path: Path) -> None:
    states = []
    for steps in (0, 2):
        typed = [f"model={model}", "max_images=320", f"callbacks.rehearsal.steps={steps}"]
        parts = parts_of(tmp_path / str(steps), *typed)
        parts.trainer.fit(parts.model, datamodule=parts.data)
        states.append({k: v for k, v in parts.model.state_dict().items() if isinstance(v, Tensor)})
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_every_phase_is_announced_before_the_first(tmp_path: Path) -> None:
    result = call(
        tmp_path, "+experiment=progressive_digits", *SMALL, "search.steps=1", "search.starts=4", "max_images=320"
    )
    assert result.returncode == 0, result.stderr
    before, after = result.stdout.split("Phases to come:")
    lines = after.splitlines()[1:5]
    assert [line.split()[0] for line in lines[:3]] == ["4", "8", "16"]
    assert [line.split()[2] for line in lines[:3]] == ["64", "128", "128"]
    assert lines[3].startswith("About ")
    assert "training on" in before


def test_a_batch_that_does_not_fit_says_which_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which an image of the last phase takes 100 MiB, and 2 GiB are free."""
    now = {"images": 0}
    monkeypatch.setattr(Memory, "peak", lambda self: now["images"] * 100 * 2**20)
    monkeypatch.setattr(rehearsal.psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * GIB))
    step = Rehearsal._step

    def heavy(self: Rehearsal, trainer: Any, module: Any, phase: Phase, size: int, players: Any) -> None:
        now["images"] = max(now["images"], size)
        step(self, trainer, module, phase, size, players)

    monkeypatch.setattr(Rehearsal, "_step", heavy)
    result = call(tmp_path, "+experiment=progressive_digits", *SMALL, "max_images=320", "data.batch_size=64")
    assert result.returncode != 0
    assert "16 px with 64 images, does not fit into the 2.0 GiB that are free: 20 fit" in result.stderr
    assert "+growth.batch_sizes.16=20" in result.stderr
    assert "Traceback" not in result.stderr
    assert now["images"] == 16  # 32 were never tried


def test_a_gpu_that_runs_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Rehearsal._step

    def full(self: Rehearsal, trainer: Any, module: Any, phase: Phase, size: int, players: Any) -> None:
        if size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        step(self, trainer, module, phase, size, players)

    monkeypatch.setattr(Rehearsal, "_step", full)
    result = call(tmp_path, "+experiment=progressive_digits", *SMALL, "max_images=320", "data.batch_size=32")
    assert "8 fit" in result.stderr


def test_the_advice_is_an_option_that_works() -> None:
    config = compose_config("+experiment=progressive_digits", "+growth.batch_sizes.16=20")
    schedule = instantiate(config.growth, _convert_="all")
    assert [phase.batch_size for phase in schedule.phases] == [32, 32, 20]


def test_what_is_left_of_the_phases() -> None:
    four, eight, sixteen = SCHEDULE.phases
    assert to_come(SCHEDULE, 0) == [(four, 100), (eight, 200), (sixteen, 200)]
    assert to_come(SCHEDULE, 150) == [(eight, 150), (sixteen, 200)]
    assert to_come(SCHEDULE, 300) == [(sixteen, 200)]
    assert to_come(SCHEDULE, 500) == []


def test_sizes_rise_to_the_whole() -> None:
    assert rising(64) == [8, 16, 32, 64]
    assert rising(3) == [1, 3]
    assert rising(1) == [1]


def test_seconds_add_up() -> None:
    four, eight, _ = SCHEDULE.phases
    parts = [rehearsal.Remaining(four, 100, 0.16), rehearsal.Remaining(eight, 200, 0.8)]
    assert [part.seconds for part in parts] == [1.0, 10.0]
    text = announcement(parts, 20.0)
    assert text.splitlines()[-1] == "About 31 s to go: training 11 s, scoring 20 s."
    assert "100 images/s" in text
    with_encoder = announcement([*parts, rehearsal.Remaining(eight, 80, 0.1, "encoder")], 20.0).splitlines()
    assert " ".join(with_encoder[3].split()) == "8 px 80 images batch 16 160 images/s 0 s encoder"
    assert text.splitlines()[:3] == with_encoder[:3]
    slow = announcement([rehearsal.Remaining(four, 100, 500.0)], 0.0)
    assert "0.032 images/s" in slow


def test_memory_of_this_machine_rises_with_what_is_held() -> None:
    memory = Memory(torch.device("cpu"))
    before = memory.peak()
    held = torch.ones(before // 4 + 10_000_000)  # more than was ever in use
    assert memory.peak() - before > 10**7
    assert memory.available > 0
    assert len(held)
