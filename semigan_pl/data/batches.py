"""Batches: which images are in which batch, as arithmetic on the number of images seen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semigan_pl.checks import shown
from semigan_pl.data.protocol import generator
from semigan_pl.growth import ProgressiveSchedule, Stage


@dataclass(frozen=True)
class BatchSizes:
    """How large the next batch is, by the images seen before it. A batch may reach over the start of the next size.

    Args:
        starts: images seen from which on each size holds, rising from 0.
        sizes: unlabelled images in a batch, over all ranks.
    """

    starts: Sequence[int]
    sizes: Sequence[int]

    def at(self, images_seen: int) -> int:
        """Size of the batch that follows after so many images."""
        return self.sizes[bisect_right(self.starts, images_seen) - 1]

    def count(self, first: int, stop: int) -> int:
        """Batches that begin at `first` or later and before `stop`, where one begins at `first`."""
        batches, seen = 0, first
        for size, end in zip(self.sizes, [*self.starts[1:], stop], strict=True):
            here = max(0, -(-(min(end, stop) - seen) // size))
            batches, seen = batches + here, seen + here * size
        return batches


class TrainingBatches:
    """The clock of a training: positions, size and stage of every batch, a pure function of (seed, images seen).

    Unlabelled image number p of the training is position p % n of the shuffled epoch p // n, so a batch may end one
    epoch and begin the next. Known anomalies, at positions from n on, are drawn likewise from a stream of their own.

    Args:
        n_unlabelled: images in the pool; positions 0 .. n_unlabelled - 1.
        n_known: known anomalies; positions n_unlabelled .. n_unlabelled + n_known - 1.
        batch_size: unlabelled images in a batch, over all ranks; where there is a schedule, its sizes count instead.
        known_batch_size: known anomalies in a batch, over all ranks; None means as many as unlabelled images.
        start: unlabelled images seen before the first batch.
        stop: ends once so many unlabelled images are seen; the last batch is as large as the others.
        schedule: phases of growth, each with its batch size; None: one size throughout.
    """

    def __init__(
        self,
        n_unlabelled: int,
        n_known: int,
        batch_size: int,
        known_batch_size: int | None,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
        schedule: ProgressiveSchedule | None = None,
    ) -> None:
        if schedule is None:
            self.batch_sizes = BatchSizes([0], [batch_size])
        else:
            self.batch_sizes = BatchSizes(schedule.starts, [phase.batch_size for phase in schedule.phases])
        option = "data.batch_size" if schedule is None else "growth.batch_sizes"
        for size in self.batch_sizes.sizes:
            _check_shareable(option, size, world_size)
        _check_shareable("data.known_batch_size", known_batch_size or 0, world_size)
        if known_batch_size != 0 and not n_known:
            raise ValueError(
                f"data.known_batch_size={shown(known_batch_size)}, but data.known_anomalies leaves none to train"
            )
        self.pools = {"unlabelled": n_unlabelled, "known": n_known}
        self.known_batch_size = known_batch_size
        self.seed, self.start, self.stop = seed, start, stop
        self.rank, self.world_size = rank, world_size
        self.schedule = schedule
        self._epochs: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        """Batches left."""
        return self.batch_sizes.count(self.start, self.stop)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return map(self.at, self.beginnings())

    def beginnings(self) -> Iterator[int]:
        """Images seen before each of the batches left."""
        images_seen = self.start
        while images_seen < self.stop:
            yield images_seen
            images_seen += self.batch_sizes.at(images_seen)

    def stage(self, images_seen: int) -> Stage | None:
        """What the batch that follows is shown at; None: at full size, as it is."""
        return None if self.schedule is None else self.schedule.at(images_seen)

    def at(self, images_seen: int) -> NDArray[np.int64]:
        """This rank's part of the batch that follows after `images_seen` unlabelled images, (N + M,)."""
        size = self.batch_sizes.at(images_seen)
        known_size, known_seen = size, images_seen
        if self.known_batch_size is not None:
            known_size = self.known_batch_size
            known_seen = known_size * self.batch_sizes.count(0, images_seen)
        unlabelled = self._draw("unlabelled", images_seen, size)
        known = self._draw("known", known_seen, known_size) + self.pools["unlabelled"]
        return np.concatenate([unlabelled, known])

    def _draw(self, stream: str, seen: int, size: int) -> NDArray[np.int64]:
        share = size // self.world_size
        numbers = seen + self.rank * share + np.arange(share)
        epochs, places = np.divmod(numbers, max(1, self.pools[stream]))
        positions = np.empty(share, dtype=np.int64)
        for epoch in np.unique(epochs):
            positions[epochs == epoch] = self._shuffled(stream, int(epoch))[places[epochs == epoch]]
        return positions

    def _shuffled(self, stream: str, epoch: int) -> NDArray[np.int64]:
        remembered, order = self._epochs.get(stream, (-1, np.empty(0, dtype=np.int64)))
        if remembered != epoch:
            order = generator(self.seed, f"epoch of {stream}", epoch).permutation(self.pools[stream])
            self._epochs[stream] = epoch, order
        return order


def _check_shareable(option: str, size: int, world_size: int) -> None:
    if size % world_size:
        raise ValueError(f"{option}={size} cannot be shared by {world_size} processes: make it a multiple")


class EvaluationBatches:
    """Every position once, in order, without padding; rank r of w takes `positions[r::w]`."""

    def __init__(self, positions: NDArray[np.int64], batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.positions = positions[rank::world_size]
        self.batch_size = batch_size

    def __len__(self) -> int:
        """At least 1, if only in name: where there is no batch, Lightning would leave out the end of the test too."""
        return max(1, -(-len(self.positions) // self.batch_size))

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        for first in range(0, len(self.positions), self.batch_size):
            yield self.positions[first : first + self.batch_size]
