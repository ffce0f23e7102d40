"""A few telling images of the test set, chosen while it streams by, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semigan_pl.atomic import replacing
from semigan_pl.types import Batch, Prediction

Mask = NDArray[np.bool_]  # (H, W): which pixels are defective


class Example(NamedTuple):
    """One image and what the detector made of it."""

    rank: float  # lower is kept first
    position: int  # index of the image in the data set
    image: Tensor  # (C, H, W) in [-1, 1]
    reconstruction: Tensor | None  # (C, H, W)
    anomaly_map: Tensor | None  # (1, H, W)
    mask: Mask | None  # None: not known


KINDS = ("normal", "anomalous", "false alarm", "missed")


def _order(example: Example) -> tuple[float, int]:
    return example.rank, example.position


class ExampleKeeper:
    """Keeps at most `limit` examples of each kind.

    Kinds: the first normal images, the first anomalies taken class by class, and the worst mistakes: normal images
    with the highest scores above the threshold, anomalies with the lowest scores under it. Which ones does not depend
    on the order in which they come, nor on which process sees them.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept: dict[str, list[Example]] = {kind: [] for kind in KINDS}

    def add(
        self,
        batch: Batch,
        prediction: Prediction,
        places: Sequence[int],
        threshold: float,
        masks: Sequence[Mask | None] | None = None,
    ) -> None:
        """Looks at one batch.

        Args:
            places: how many test images of its class come before each image.
            masks: what is known of their pixels.
        """

        def offer(kind: str, rank: float) -> None:
            self._offer(kind, rank, batch, prediction, row, masks[row] if masks else None)

        for row, (label, score) in enumerate(zip(batch.labels.tolist(), prediction.score.tolist(), strict=True)):
            typical = float(places[row])  # the first of every class before the second of any
            if label == 0:
                offer("normal", typical)
                if score > threshold:
                    offer("false alarm", -score)
            else:
                offer("anomalous", typical)
                if score <= threshold:
                    offer("missed", score)

    def _offer(self, kind: str, rank: float, batch: Batch, prediction: Prediction, row: int, mask: Mask | None) -> None:
        kept = self.kept[kind]
        index = int(batch.indices[row])
        if len(kept) == self.limit and (not kept or (rank, index) >= _order(kept[-1])):
            return

        def pick(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[row].detach().cpu().clone()

        image = batch.images[row].cpu().clone()
        kept.append(Example(rank, index, image, pick(prediction.reconstruction), pick(prediction.anomaly_map), mask))
        self.kept[kind] = sorted(kept, key=_order)[: self.limit]

    def merge(self, other: ExampleKeeper) -> None:
        """Takes over what the keeper of another process kept."""
        for kind in KINDS:
            distinct = {example.position: example for example in self.kept[kind] + other.kept[kind]}.values()
            self.kept[kind] = sorted(distinct, key=_order)[: self.limit]

    def state(self) -> dict[str, Any]:
        """What was kept, as plain containers of numbers and tensors."""
        return {
            kind: [(*example[:-1], None if example.mask is None else torch.tensor(example.mask)) for example in kept]
            for kind, kept in self.kept.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Keeps what the keeper kept whose `state` this is."""
        for kind in KINDS:
            self.kept[kind] = [
                Example._make((*others, None if mask is None else mask.numpy())) for *others, mask in state[kind]
            ]

    def save(self, path: Path) -> None:
        """Writes `examples.npz`: index, kind, images (uint8), and what there is of reconstructions, maps and masks."""
        rows = [(kind, example) for kind in KINDS for example in self.kept[kind]]
        if not rows:
            return
        pixels = torch.stack([example.image for _, example in rows])
        arrays = {
            "index": np.array([example.position for _, example in rows]),
            "kind": np.array([kind for kind, _ in rows]),
            "images": ((pixels + 1) * 127.5).round().to(torch.uint8).numpy(),
        }
        if rows[0][1].reconstruction is not None:
            arrays["reconstructions"] = torch.stack([e.reconstruction for _, e in rows]).numpy()  # type: ignore[misc]
        if rows[0][1].anomaly_map is not None:
            arrays["maps"] = torch.stack([e.anomaly_map for _, e in rows]).numpy()  # type: ignore[misc]
        masks = [example.mask for _, example in rows]
        if any(mask is not None for mask in masks):
            unknown = np.zeros(pixels.shape[2:], dtype=bool)
            arrays["masks"] = np.stack([unknown if mask is None else mask for mask in masks])
            arrays["has_mask"] = np.array([mask is not None for mask in masks])
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's own stub takes them for its flag
