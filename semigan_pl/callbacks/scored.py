"""What is known of the images that were scored so far. It grows by a row of numbers per image, not by images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from semigan_pl.callbacks.examples import ExampleKeeper
from semigan_pl.evaluation.pixels import PixelCounts
from semigan_pl.evaluation.scores import ScoreTable


class Scored:
    """Rows, examples and counts of pixels of validation or test, as far as one process has come.

    Args:
        examples: kept per kind.
    """

    def __init__(self, examples: int) -> None:
        self.tables: list[ScoreTable] = []
        self.keeper = ExampleKeeper(examples)
        self.pixels = PixelCounts()
        self.images_with_truth: set[int] = set()  # whose pixels were counted

    @property
    def table(self) -> ScoreTable:
        """All rows in order."""
        return ScoreTable.gather(self.tables)

    @property
    def positions(self) -> np.ndarray:
        """Of all images scored, (N,) int64."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(table.indices for table in self.tables)])

    def merge(self, other: Scored) -> None:
        """Takes over what another process, or an earlier session of this run, has scored."""
        self.tables += other.tables
        self.keeper.merge(other.keeper)
        self.pixels.merge(other.pixels)
        self.images_with_truth |= other.images_with_truth

    def state(self) -> dict[str, Any]:
        """All but the rows, as plain containers of numbers and tensors: can be read back as data only."""
        pixels = self.pixels.state()
        return {
            "keeper": self.keeper.state(),
            "dropped_bits": pixels["dropped_bits"],
            "codes": torch.from_numpy(pixels["codes"].view(np.int64)),  # of 33 bits: not all of torch knows uint64
            "counts": torch.from_numpy(pixels["counts"]),
            "images_with_truth": torch.tensor(sorted(self.images_with_truth), dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave; rows come from elsewhere."""
        self.keeper.restore(state["keeper"])
        codes, counts = state["codes"].numpy().view(np.uint64), state["counts"].numpy()
        self.pixels.restore({"dropped_bits": state["dropped_bits"], "codes": codes, "counts": counts})
        self.images_with_truth = set(state["images_with_truth"].tolist())
