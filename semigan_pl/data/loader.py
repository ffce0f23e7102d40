"""Loaders: cached images become the batches that networks see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from semigan_pl.data.batches import EvaluationBatches, TrainingBatches
from semigan_pl.growth import Stage, resize_to
from semigan_pl.types import Batch, from_levels

Item = TypeVar("Item")


class CachedImages:
    """Images of one split in the cache, by position in the split.

    Args:
        pyramid: the cache by resolution, uint8 (n_cache, C, r, r) each; the largest one holds the images themselves.
        rows: row in the cache of every image of the split, (n,).
        labels: 0 or 1, (n,).
        indices: position in the image source, (n,).
    """

    def __init__(
        self,
        pyramid: Mapping[int, NDArray[np.uint8]],
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        indices: NDArray[np.int64],
    ) -> None:
        self.pyramid = {resolution: torch.from_numpy(images) for resolution, images in pyramid.items()}
        self.rows = torch.from_numpy(rows)
        self.labels = torch.from_numpy(labels)
        self.indices = torch.from_numpy(indices)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, positions: NDArray[np.int64], stage: Stage | None = None) -> Batch:
        """One batch: images (N, C, H, W) float32 in [-1, 1], labels (N,), indices (N,).

        At a stage only the cache of its resolution is read, and the images are cross-faded as `resize_to` says.
        """
        chosen = torch.from_numpy(positions)
        cached = self.pyramid[max(self.pyramid) if stage is None else stage.resolution]
        images = from_levels(cached.index_select(0, self.rows[chosen]))
        if stage is not None:
            images = resize_to(images, stage)
        return Batch(images, self.labels[chosen], self.indices[chosen])


class BatchLoader:
    """Yields batches at full size. Not a DataLoader: the images are decoded, so there is nothing for worker processes
    to do, and Lightning must not put a sampler of its own in the place of ours.

    Args:
        images: the images of one split.
        positions: which of them are in which batch.
    """

    def __init__(self, images: CachedImages, positions: TrainingBatches | EvaluationBatches) -> None:
        self.images = images
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.images.batch, self.positions)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where training stands is known from the images seen. Says to Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load, see `state_dict`."""


class TrainingLoader(BatchLoader):
    """Yields every training batch at its stage, and reads the next one while the training computes."""

    positions: TrainingBatches

    def __iter__(self) -> Iterator[Batch]:
        return read_ahead(self._read())

    def _read(self) -> Iterator[Batch]:
        for images_seen in self.positions.beginnings():
            yield self.images.batch(self.positions.at(images_seen), self.positions.stage(images_seen))


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order; one thread makes the next while the consumer works on this one.

    What is raised there is raised here, in its place. The thread ends with the items, or when the consumer goes away.
    """
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read_ahead") as reader:
        upcoming = reader.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = reader.submit(next, items, end)
            yield item  # type: ignore[misc]
