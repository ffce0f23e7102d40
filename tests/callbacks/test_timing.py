"""Clocks that are turned by hand, and an announcement that leaves no trace."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from semigan_pl.callbacks import timing
from semigan_pl.callbacks.timing import TimeEstimate, Timing, duration
from semigan_pl.methods.anogan import AnoGAN
from semigan_pl.types import Batch
from tests.conftest import LEARNED, build_model

IMAGES = torch.rand(10, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
BATCH = Batch(IMAGES, torch.tensor([0] * 8 + [1] * 2), torch.arange(10))
NOBODY: Any = None


class Clock:
    """`time.perf_counter`, turned by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class FakeTrainer:
    """Splits of 30 + 10 + 160 images to score, and an ear for what is printed."""

    world_size = 1
    is_global_zero = True

    def __init__(self) -> None:
        splits = SimpleNamespace(val=range(30), val_known=range(10), test=range(160))
        self.datamodule = SimpleNamespace(splits=splits)
        self.printed: list[str] = []

    def print(self, text: str) -> None:
        self.printed.append(text)


def fake_trainer() -> Any:
    return FakeTrainer()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (89.4, "89 s"),
        (90, "1.5 min"),
        (192, "3.2 min"),
        (5400, "1.5 h"),
        (36_000, "10.0 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def train_for(callback: Timing, clock: Clock, batches: int, seconds: float) -> None:
    callback.on_train_start(NOBODY, NOBODY)
    for number in range(batches):
        clock.now += seconds
        callback.on_train_batch_end(NOBODY, NOBODY, None, None, number)
    callback.on_train_end(NOBODY, NOBODY)


def test_training_and_testing_are_measured_apart(clock: Clock) -> None:
    callback = Timing()
    train_for(callback, clock, batches=5, seconds=2.0)
    clock.now += 100  # validation
    callback.on_test_start(NOBODY, NOBODY)
    clock.now += 7
    callback.on_test_end(NOBODY, NOBODY)
    assert callback.train_seconds == pytest.approx(10)
    assert callback.test_seconds == pytest.approx(7)


def test_sessions_of_a_run_add_up_without_the_time_between(clock: Clock) -> None:
    first, second = Timing(), Timing()
    train_for(first, clock, batches=3, seconds=2.0)
    clock.now += 10_000
    second.load_state_dict(first.state_dict())
    train_for(second, clock, batches=4, seconds=1.0)
    assert second.train_seconds == pytest.approx(10)


def test_the_estimate_is_printed_once_and_without_the_first_batch(clock: Clock) -> None:
    estimate, trainer = TimeEstimate(after_seconds=5, max_images=10_000, schedule=None), fake_trainer()
    module: Any = SimpleNamespace(images_seen=0, inspection_seconds=lambda images: 2.0, block_size=8)
    for seconds in (60, 2, 2, 2, 2, 2):  # the first batch is slow, and says nothing of the others
        clock.now += seconds
        module.images_seen += 100
        estimate.on_train_batch_end(trainer, module, None, BATCH, 0)
    assert trainer.printed == [
        # three batches in six seconds, 400 seen: 9,600 to go; scoring is tried on a block of 8: 25 blocks of 2 s
        "About 4.0 min to go: training at 50 images/s takes 3.2 min, then scoring 200 images 50 s."
    ]


def test_several_processes_share_the_scoring() -> None:
    trainer = fake_trainer()
    trainer.world_size = 2
    module: Any = SimpleNamespace(images_seen=0, inspection_seconds=lambda images: 2.0, block_size=8)
    sentence = TimeEstimate(5, 1000, None).announce(trainer, module, 10.0, BATCH)
    assert sentence.endswith("takes 1.7 min, then scoring 200 images 25 s.")


def test_nothing_is_said_of_a_short_training(clock: Clock) -> None:
    estimate, trainer = TimeEstimate(after_seconds=5, max_images=300, schedule=None), fake_trainer()
    for seen in (100, 200, 300):
        clock.now += 2
        estimate.on_train_batch_end(trainer, SimpleNamespace(images_seen=seen), None, BATCH, 0)  # type: ignore[arg-type]
    assert trainer.printed == []


def test_no_time_is_negative() -> None:
    module: Any = SimpleNamespace(images_seen=1280, inspection_seconds=lambda images: 2.0, block_size=8)
    sentence = TimeEstimate(5, 1250, None).announce(fake_trainer(), module, 10.0, BATCH)
    assert "-" not in sentence


def states() -> tuple[Tensor, Any, str]:
    return torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("training", [True, False])
def test_announcing_moves_nothing(name: str, training: bool) -> None:
    module = build_model(name).train(training)
    before = {key: value.clone() for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    modes = [part.training for part in module.modules()]
    frozen = [parameter.requires_grad for parameter in module.parameters()]
    torch_state, *other_states = states()
    sentence = TimeEstimate(5, 1000, None).announce(fake_trainer(), module, 10.0, BATCH)
    assert sentence.startswith("About 1.7 min to go: training at 10 images/s takes 1.7 min, then scoring 200 images ")
    assert torch.equal(torch_state, states()[0])
    assert other_states == list(states()[1:])
    for key, value in before.items():
        assert torch.equal(value, module.state_dict()[key]), key
    assert modes == [part.training for part in module.modules()]
    assert frozen == [parameter.requires_grad for parameter in module.parameters()]
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_few_steps_of_a_long_search_are_tried(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build_model("anogan", "search.steps=500")
    assert isinstance(module, AnoGAN)
    whole, tried = module.search, []

    def inspect_block(images: Tensor) -> None:
        assert isinstance(module, AnoGAN)
        tried.append(module.search.steps)
        clock.now += 3 + 0.1 * module.search.steps  # what does not grow with the steps is counted once

    monkeypatch.setattr(module, "_inspect_block", inspect_block)
    assert module.inspection_seconds(IMAGES) == pytest.approx(3 + 0.1 * 500)
    assert tried == [0, 5]
    assert module.search is whole


def test_the_search_is_whole_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build_model("anogan")
    assert isinstance(module, AnoGAN)
    whole = module.search
    with pytest.raises(RuntimeError):
        module.inspection_seconds(IMAGES[:, :, :5])  # no image of this shape fits the networks
    assert module.search is whole
