"""Loaders: what a batch shows at a stage, and the thread that reads ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from semigan_pl.data.batches import EvaluationBatches, TrainingBatches
from semigan_pl.data.loader import BatchLoader, CachedImages, TrainingLoader, read_ahead
from semigan_pl.growth import Phase, ProgressiveSchedule, Stage, resize_to
from semigan_pl.types import Batch, from_levels


def images_of(n: int) -> CachedImages:
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
    return CachedImages({2: pixels}, np.arange(n)[::-1].copy(), np.arange(n) % 2, 100 + np.arange(n))


def test_images_are_scaled_to_minus_one_and_one() -> None:
    batch = images_of(256).batch(np.array([0, 255, 100]))
    torch.testing.assert_close(batch.images[:, 0, 0, 0], torch.tensor([1.0, -1.0, 155 / 127.5 - 1]))
    assert (batch.images.dtype, batch.images.shape) == (torch.float32, (3, 1, 2, 2))
    assert batch.labels.tolist() == [0, 1, 0]
    assert batch.indices.tolist() == [100, 355, 200]


def test_loader_yields_the_batches_again_and_again() -> None:
    loader = BatchLoader(images_of(10), EvaluationBatches(np.arange(10), 4))
    assert [batch.indices.tolist() for batch in loader] == [[100, 101, 102, 103], [104, 105, 106, 107], [108, 109]]
    assert len(loader) == 3
    assert len(list(loader)) == 3  # and again from the start


# --- at a stage -------------------------------------------------------------------------------------------------------


def grown_images(n: int) -> CachedImages:
    """Random images at 8 and 4 px that have nothing to do with each other: only one of the two can be read."""
    rng = np.random.default_rng(0)
    pyramid = {r: rng.integers(0, 256, (n, 3, r, r), dtype=np.uint8) for r in (4, 8)}
    return CachedImages(pyramid, np.arange(n), np.zeros(n, dtype=np.int64), np.arange(n))


@pytest.mark.parametrize("stage", [Stage(4), Stage(8, 0.0), Stage(8, 0.25), Stage(8)])
def test_a_stage_reads_its_own_resolution_and_fades(stage: Stage) -> None:
    images = grown_images(5)
    shown = images.batch(np.array([3, 0]), stage).images
    own = from_levels(images.pyramid[stage.resolution][[3, 0]])
    halved = own.reshape(2, 3, stage.resolution // 2, 2, stage.resolution // 2, 2).mean((3, 5))
    doubled = halved.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(shown, stage.alpha * own + (1 - stage.alpha) * doubled)
    assert shown.dtype == torch.float32


def test_training_loader_shows_every_batch_at_its_stage() -> None:
    schedule = ProgressiveSchedule([Phase(4, 0, 6, 4, 0.1), Phase(8, 6, 4, 2, 0.1)])
    images = grown_images(8)
    positions = TrainingBatches(5, 3, 1, None, 0, start=0, stop=16, schedule=schedule)
    loader = TrainingLoader(images, positions)
    for _ in range(2):  # and again from the start
        batches = list(loader)
        assert len(loader) == len(batches) == 6
        for batch, seen in zip(batches, [0, 4, 8, 10, 12, 14], strict=True):
            assert batch.indices.tolist() == positions.at(seen).tolist()
            expected = images.pyramid[schedule.at(seen).resolution][batch.indices]
            assert torch.equal(batch.images, resize_to(from_levels(expected), schedule.at(seen)))


# --- reading ahead ----------------------------------------------------------------------------------------------------


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read_ahead")]


def test_reading_ahead_changes_nothing() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert list(read_ahead(iter([None, None]))) == [None, None]
    assert list(read_ahead(iter([]))) == []
    assert readers() == []


def test_the_next_item_is_made_while_the_consumer_works() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[str]:
        for event in made:
            event.set()
            yield threading.current_thread().name

    taken = read_ahead(items())
    assert next(taken).startswith("read_ahead")
    assert made[1].wait(10)  # nobody has asked for it yet
    assert not made[2].is_set()  # one ahead, no more
    assert len(list(taken)) == 2


def test_what_is_raised_in_the_thread_reaches_the_consumer() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    taken = read_ahead(items())
    assert next(taken) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(taken)
    assert readers() == []


def test_the_thread_ends_when_the_consumer_goes_away() -> None:
    taken = read_ahead(iter(range(100)))
    assert next(taken) == 0
    assert len(readers()) == 1
    del taken
    assert readers() == []

    def interrupted(batches: Iterator[Batch]) -> None:
        for _ in batches:
            raise KeyboardInterrupt

    positions = TrainingBatches(8, 0, 2, 0, 0, start=0, stop=20)
    with pytest.raises(KeyboardInterrupt):
        interrupted(iter(TrainingLoader(grown_images(8), positions)))
    assert readers() == []
