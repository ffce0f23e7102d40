"""Batches as arithmetic: shuffled epochs, resuming, ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semigan_pl.data.batches import EvaluationBatches, TrainingBatches
from semigan_pl.growth import Phase, ProgressiveSchedule, Stage

SIZES: dict[str, Any] = {"n_unlabelled": 50, "n_known": 7, "batch_size": 12, "known_batch_size": 8, "seed": 3}


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
    parts = [list(EvaluationBatches(np.arange(23), 4, rank, 3)) for rank in range(3)]
    np.testing.assert_array_equal(np.sort(np.concatenate([batch for part in parts for batch in part])), np.arange(23))
    assert [len(EvaluationBatches(np.arange(23), 4, rank, 3)) for rank in range(3)] == [len(part) for part in parts]
    assert [len(part) for part in parts] == [2, 2, 2]


def test_evaluation_of_what_is_left() -> None:
    left = np.array([3, 4, 8, 9, 20])
    parts = [[batch.tolist() for batch in EvaluationBatches(left, 2, rank, 2)] for rank in range(2)]
    assert parts == [[[3, 8], [20]], [[4, 9]]]
    nothing = EvaluationBatches(left[:0], 2)
    assert list(nothing) == []
    assert len(nothing) == 1  # or Lightning would leave out the end of the test


# --- growing: sizes by phase, known anomalies beside them, any start --------------------------------------------------


def phases(*parts: tuple[int, int, int]) -> ProgressiveSchedule:
    """From (fade, hold, batch size) each; the first one does not fade."""
    return ProgressiveSchedule(
        [
            Phase(4 << n, fade if n else 0, hold + (0 if n else fade), batch_size, lr=0.1)
            for n, (fade, hold, batch_size) in enumerate(parts)
        ]
    )


def growing(schedule: ProgressiveSchedule, start: int = 0, stop: int = 0, **changes: Any) -> TrainingBatches:
    sizes = SIZES | {"batch_size": 1, "known_batch_size": None} | changes
    return TrainingBatches(**sizes, start=start, stop=stop, schedule=schedule)


SCHEDULES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 40), st.sampled_from([2, 4, 6, 12, 20])), min_size=1, max_size=5
).map(lambda parts: phases(*parts))
STOPS = st.integers(0, 240)
KNOWN = st.sampled_from([None, 2, 8])


def test_sizes_at_borders_by_hand() -> None:
    """8 px from 10 images on, 16 px from 16 on: the batch that reaches over a border has the size of its start."""
    schedule = phases((0, 10, 4), (2, 4, 6), (2, 100, 2))
    batches = growing(schedule, stop=25)
    assert list(batches.beginnings()) == [0, 4, 8, 12, 18, 20, 22, 24]
    assert [len(batch) // 2 for batch in batches] == [4, 4, 4, 6, 2, 2, 2, 2]
    assert len(batches) == 8
    assert [batches.stage(seen) for seen in (8, 12, 16, 17, 18)] == [
        Stage(4),
        Stage(8),
        Stage(16, 0.0),
        Stage(16, 0.5),
        Stage(16),
    ]
    # A phase that is shorter than the batch before it is passed over.
    assert list(growing(phases((0, 3, 8), (1, 3, 4), (0, 9, 2)), stop=13).beginnings()) == [0, 8, 10, 12]


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, STOPS, KNOWN)
def test_length_sizes_and_frequencies(schedule: ProgressiveSchedule, stop: int, known: int | None) -> None:
    clock = growing(schedule, stop=stop, known_batch_size=known)
    batches, starts = list(clock), list(clock.beginnings())
    assert len(clock) == len(batches) == len(starts)
    unlabelled = [batch[batch < 50] for batch in batches]
    assert [len(part) for part in unlabelled] == [schedule.phase(seen).batch_size for seen in starts]
    assert np.cumsum([0, *map(len, unlabelled)])[:-1].tolist() == starts
    known_parts = [batch[batch >= 50] for batch in batches]
    assert [len(part) for part in known_parts] == [known or len(part) for part in unlabelled]
    for parts, first, n in ((unlabelled, 0, 50), (known_parts, 50, 7)):
        drawn = np.bincount(np.concatenate([*parts, np.empty(0, dtype=np.int64)]).astype(int), minlength=57)
        assert np.ptp(drawn[first : first + n]) <= 1  # no image more than once more often than another


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, STOPS, KNOWN, st.data())
def test_resumed_growing_is_the_uninterrupted_one(
    schedule: ProgressiveSchedule, stop: int, known: int | None, data: st.DataObject
) -> None:
    whole = growing(schedule, stop=stop, known_batch_size=known)
    starts = [*whole.beginnings(), stop]
    done = data.draw(st.integers(0, len(starts) - 1))
    resumed = growing(schedule, starts[done], stop, known_batch_size=known)
    assert len(resumed) == len(whole) - done
    for before, after in zip(list(whole)[done:], resumed, strict=True):
        np.testing.assert_array_equal(before, after)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.integers(0, 300), STOPS, KNOWN)
def test_starting_between_batches(schedule: ProgressiveSchedule, start: int, stop: int, known: int | None) -> None:
    """As after a change of batch sizes: lengths stay exact, and the unlabelled stream goes on with the next image."""
    clock = growing(schedule, start, stop, known_batch_size=known)
    batches = list(clock)
    assert len(clock) == len(batches)
    every = np.array(list(growing(phases((0, 1, 2)), stop=600, known_batch_size=0))).ravel()
    here = np.concatenate([*(batch[batch < 50] for batch in batches), every[:0]])
    np.testing.assert_array_equal(here, every[start : start + len(here)])


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, STOPS, KNOWN)
def test_ranks_make_up_the_growing_batch(schedule: ProgressiveSchedule, stop: int, known: int | None) -> None:
    alone = growing(schedule, stop=stop, known_batch_size=known)
    ranks = [growing(schedule, stop=stop, known_batch_size=known, rank=rank, world_size=2) for rank in range(2)]
    for first, second, batch in zip(*ranks, alone, strict=True):
        joined = [first[first < 50], second[second < 50], first[first >= 50], second[second >= 50]]
        np.testing.assert_array_equal(np.concatenate(joined), batch)


def test_one_phase_is_a_fixed_batch_size() -> None:
    fixed = TrainingBatches(**SIZES, start=24, stop=300)
    grown = growing(phases((0, 300, 12)), 24, 300, known_batch_size=8)
    np.testing.assert_array_equal(np.array(list(fixed)), np.array(list(grown)))


def test_every_phase_has_to_be_shareable() -> None:
    with pytest.raises(ValueError, match=r"growth\.batch_sizes=6 cannot be shared by 4 processes"):
        growing(phases((0, 9, 8), (0, 9, 6)), world_size=4)
