"""Batches: which images are in which batch, as arithmetic on the number of images seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semigan_pl.data.protocol import generator
from semigan_pl.types import Batch, from_levels


class CachedImages:
    """Images of one split in the cache, by position in the split.

    Args:
        images: the cache, uint8 (n_cache, C, H, W).
        rows: row in the cache of every image of the split, (n,).
        labels: 0 or 1, (n,).
        indices: position in the image source, (n,).
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        indices: NDArray[np.int64],
    ) -> None:
        self.images = torch.from_numpy(images)
        self.rows = torch.from_numpy(rows)
        self.labels = torch.from_numpy(labels)
        self.indices = torch.from_numpy(indices)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, positions: NDArray[np.int64]) -> Batch:
        """One batch: images (N, C, H, W) float32 in [-1, 1], labels (N,), indices (N,)."""
        chosen = torch.from_numpy(positions)
        images = from_levels(self.images.index_select(0, self.rows[chosen]))
        return Batch(images, self.labels[chosen], self.indices[chosen])


class TrainingBatches:
    """Positions of every training batch: a pure function of (seed, images seen).

    Unlabelled image number p of the training is position p % n of the shuffled epoch p // n, so a batch may end one
    epoch and begin the next. Known anomalies, at positions from n on, are drawn likewise from a stream of their own.

    Args:
        n_unlabelled: images in the pool; positions 0 .. n_unlabelled - 1.
        n_known: known anomalies; positions n_unlabelled .. n_unlabelled + n_known - 1.
        batch_size: unlabelled images in a batch, over all ranks.
        known_batch_size: known anomalies in a batch, over all ranks.
        start: unlabelled images seen before the first batch.
        stop: ends once so many unlabelled images are seen; the last batch is as large as the others.
    """

    def __init__(
        self,
        n_unlabelled: int,
        n_known: int,
        batch_size: int,
        known_batch_size: int,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        for option, size in (("batch_size", batch_size), ("known_batch_size", known_batch_size)):
            if size % world_size:
                raise ValueError(f"data.{option}={size} cannot be shared by {world_size} processes: make it a multiple")
        if known_batch_size and not n_known:
            raise ValueError(f"data.known_batch_size={known_batch_size}, but data.known_anomalies leaves none to train")
        self.sizes = {"unlabelled": n_unlabelled, "known": n_known}
        self.batch_sizes = {"unlabelled": batch_size, "known": known_batch_size}
        self.seed, self.start, self.stop = seed, start, stop
        self.rank, self.world_size = rank, world_size
        self._epochs: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        """Batches left."""
        return max(0, -(-(self.stop - self.start) // self.batch_sizes["unlabelled"]))

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        for batch in range(len(self)):
            yield self.at(self.start + batch * self.batch_sizes["unlabelled"])

    def at(self, images_seen: int) -> NDArray[np.int64]:
        """This rank's part of the batch that follows after `images_seen` unlabelled images, (N + M,)."""
        # Known anomalies keep pace with the unlabelled images, whatever the batch size was before.
        known_seen = images_seen * self.batch_sizes["known"] // self.batch_sizes["unlabelled"]
        unlabelled = self._draw("unlabelled", images_seen)
        known = self._draw("known", known_seen) + self.sizes["unlabelled"]
        return np.concatenate([unlabelled, known])

    def _draw(self, stream: str, seen: int) -> NDArray[np.int64]:
        share = self.batch_sizes[stream] // self.world_size
        numbers = seen + self.rank * share + np.arange(share)
        epochs, places = np.divmod(numbers, max(1, self.sizes[stream]))
        positions = np.empty(share, dtype=np.int64)
        for epoch in np.unique(epochs):
            positions[epochs == epoch] = self._shuffled(stream, int(epoch))[places[epochs == epoch]]
        return positions

    def _shuffled(self, stream: str, epoch: int) -> NDArray[np.int64]:
        remembered, order = self._epochs.get(stream, (-1, np.empty(0, dtype=np.int64)))
        if remembered != epoch:
            order = generator(self.seed, f"epoch of {stream}", epoch).permutation(self.sizes[stream])
            self._epochs[stream] = epoch, order
        return order


class EvaluationBatches:
    """Every position once, in order, without padding; rank r of w takes the positions r, r + w, r + 2w, ..."""

    def __init__(self, n: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.positions = np.arange(rank, n, world_size)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        for first in range(0, len(self.positions), self.batch_size):
            yield self.positions[first : first + self.batch_size]


class BatchLoader:
    """Yields batches. Not a DataLoader: the images are in memory, so there is nothing for workers to do, and Lightning
    must not put a sampler of its own in the place of ours.

    Args:
        images: the images of one split.
        positions: `TrainingBatches` or `EvaluationBatches`.
    """

    def __init__(self, images: CachedImages, positions: TrainingBatches | EvaluationBatches) -> None:
        self.images = images
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Batch]:
        chosen: Iterable[NDArray[np.int64]] = self.positions
        for positions in chosen:
            yield self.images.__getitems__(positions)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where training stands is known from the images seen. Says to Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load, see `state_dict`."""
