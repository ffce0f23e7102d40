"""Batches as arithmetic: shuffled epochs, resuming, ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from semigan_pl.data.batches import BatchLoader, CachedImages, EvaluationBatches, TrainingBatches

SIZES: dict[str, Any] = {"n_unlabelled": 50, "n_known": 7, "batch_size": 12, "known_batch_size": 8, "seed": 3}


def images_of(n: int) -> CachedImages:
    pixels = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
    return CachedImages(pixels, np.arange(n)[::-1].copy(), np.arange(n) % 2, 100 + np.arange(n))


def test_every_image_once_per_epoch() -> None:
    batches = np.array(list(TrainingBatches(**SIZES, start=0, stop=300)))
    assert batches.shape == (25, 20)
    unlabelled, known = batches[:, :12].reshape(6, 50), batches[:, 12:].ravel()[:196].reshape(28, 7)
    np.testing.assert_array_equal(np.sort(unlabelled), np.tile(np.arange(50), (6, 1)))
    np.testing.assert_array_equal(np.sort(known), np.tile(np.arange(50, 57), (28, 1)))
    assert not np.array_equal(unlabelled[0], unlabelled[1])  # another order in every epoch
    other_seed = np.array(list(TrainingBatches(**SIZES | {"seed": 4}, start=0, stop=300)))
    assert not np.array_equal(batches, other_seed)


@pytest.mark.parametrize("start", range(0, 312, 12))
def test_resuming_continues_exactly(start: int) -> None:
    whole = list(TrainingBatches(**SIZES, start=0, stop=300))
    resumed = TrainingBatches(**SIZES, start=start, stop=300)
    assert len(resumed) == len(whole) - start // 12
    np.testing.assert_array_equal(np.array([*whole[: start // 12], *resumed]), np.array(whole))


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_make_up_the_global_batch(world_size: int) -> None:
    ranks = [TrainingBatches(**SIZES, start=24, stop=300, rank=r, world_size=world_size) for r in range(world_size)]
    share = 12 // world_size
    for parts, batch in zip(zip(*ranks, strict=True), TrainingBatches(**SIZES, start=24, stop=300), strict=True):
        joined = [part[:share] for part in parts] + [part[share:] for part in parts]
        np.testing.assert_array_equal(np.concatenate(joined), batch)


def test_the_last_batch_is_full_and_nothing_follows() -> None:
    assert [len(batch) for batch in TrainingBatches(**SIZES, start=0, stop=13)] == [20, 20]
    assert list(TrainingBatches(**SIZES, start=24, stop=24)) == []
    assert len(TrainingBatches(**SIZES, start=36, stop=24)) == 0


def test_no_known_anomalies() -> None:
    batches = TrainingBatches(**SIZES | {"n_known": 0, "known_batch_size": 0}, start=0, stop=24)
    assert [len(batch) for batch in batches] == [12, 12]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"world_size": 5}, r"data\.batch_size=12 .* 5 processes"), ({"n_known": 0}, r"data\.known_anomalies")],
)
def test_errors(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingBatches(**SIZES | changes, start=0, stop=24)


def test_evaluation_takes_every_image_once() -> None:
    parts = [list(EvaluationBatches(23, 4, rank, 3)) for rank in range(3)]
    np.testing.assert_array_equal(np.sort(np.concatenate([batch for part in parts for batch in part])), np.arange(23))
    assert [len(EvaluationBatches(23, 4, rank, 3)) for rank in range(3)] == [len(part) for part in parts] == [2, 2, 2]


def test_images_are_scaled_to_minus_one_and_one() -> None:
    batch = images_of(256).__getitems__(np.array([0, 255, 100]))
    torch.testing.assert_close(batch.images[:, 0, 0, 0], torch.tensor([1.0, -1.0, 155 / 127.5 - 1]))
    assert (batch.images.dtype, batch.images.shape) == (torch.float32, (3, 1, 2, 2))
    assert batch.labels.tolist() == [0, 1, 0]
    assert batch.indices.tolist() == [100, 355, 200]


def test_loader_yields_the_batches_again_and_again() -> None:
    loader = BatchLoader(images_of(10), EvaluationBatches(10, 4))
    assert [batch.indices.tolist() for batch in loader] == [[100, 101, 102, 103], [104, 105, 106, 107], [108, 109]]
    assert len(loader) == 3
    assert len(list(loader)) == 3  # and again from the start
