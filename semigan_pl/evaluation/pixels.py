"""Metrics over all pixels of a test set, from counts per value: the maps themselves are never kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_LIMIT = 1024  # below it even the exponents of float32 would not fit
SIGN = np.uint32(1 << 31)


class PixelCounts:
    """How many normal and how many defective pixels there are of each value of the anomaly map.

    Exact while there are at most `limit` distinct pairs of value and label. Beyond, the lowest bits of the values are
    dropped one by one until the rest fits: values closer than a relative 2^(dropped_bits - 23) become ties, which the
    AUROC counts half. `auroc_error` bounds what that can change.

    A float32's bits, read as an integer, are in the order of the values once those of negative values are flipped; the
    label is the lowest bit of the code that is counted.

    Args:
        limit: distinct pairs kept, 16 bytes each; up to four times as many while they are merged.
    """

    def __init__(self, limit: int = 1 << 21) -> None:
        if limit < LEAST_LIMIT:
            raise ValueError(f"PixelCounts(limit={limit}) keeps too few values apart: give {LEAST_LIMIT} or more")
        self.limit = limit
        self.dropped_bits = 0
        self._codes: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)  # (k,) sorted, distinct
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # (k,)
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []  # not merged yet

    def add(self, values: NDArray[np.float32], defective: NDArray[np.bool_] | bool) -> None:
        """Counts pixels: values float32 of any shape; whether each is defective, of the same shape or one for all.

        Raises ValueError if the shapes differ or a value is not finite.
        """
        labels = np.full(values.shape, defective) if isinstance(defective, bool) else defective
        if labels.shape != values.shape:
            raise ValueError(f"an anomaly map of shape {values.shape} does not fit a mask of shape {labels.shape}")
        if not np.isfinite(values).all():
            raise ValueError("the anomaly map holds NaN or infinite values: has the training diverged?")
        codes, counts = np.unique(_coded(values.ravel(), labels.ravel(), self.dropped_bits), return_counts=True)
        self._wait(codes, counts)

    def merge(self, other: PixelCounts) -> None:
        """Takes over what another process counted."""
        other._settle()
        self._drop_to(other.dropped_bits)
        self._wait(_dropped(other._codes, self.dropped_bits - other.dropped_bits), other._counts)

    def state(self) -> dict[str, Any]:
        """All that was counted: an int, and arrays (k,)."""
        self._settle()
        return {"dropped_bits": self.dropped_bits, "codes": self._codes, "counts": self._counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from where that one stood whose `state` this is."""
        self.dropped_bits, self._codes, self._counts = state["dropped_bits"], state["codes"], state["counts"]
        self._waiting = []

    @property
    def n_pixels(self) -> int:
        self._settle()
        return int(self._counts.sum())

    @property
    def prevalence(self) -> float | None:
        """Share of defective pixels; None where nothing was counted. It is the average precision of guessing."""
        total = self.n_pixels
        return int(self._counts[self._codes & np.uint64(1) == 1].sum()) / total if total else None

    def auroc(self) -> float | None:
        """The chance that a defective pixel lies above a normal one, ties counted half; None without both."""
        _, normal, defective = self._by_value()
        pairs = float(normal.sum()) * float(defective.sum())
        below = np.cumsum(normal) - normal
        return float(np.dot(defective.astype(np.float64), below + normal / 2)) / pairs if pairs else None

    @property
    def auroc_error(self) -> float:
        """The AUROC of the values themselves is at most so far away: 0 unless bits were dropped."""
        _, normal, defective = self._by_value()
        pairs = float(normal.sum()) * float(defective.sum())
        ties = float(np.dot(defective.astype(np.float64), normal))  # of which each may be a win or a loss
        return ties / 2 / pairs if self.dropped_bits and pairs else 0.0

    def average_precision(self) -> float | None:
        """Sum over thresholds of precision times gained recall, no interpolation; None without both kinds of pixel."""
        _, normal, defective = self._by_value()
        if not normal.any() or not defective.any():
            return None
        found = np.cumsum(defective[::-1])
        precision = found / (found + np.cumsum(normal[::-1]))
        return float(np.dot(precision, defective[::-1] / found[-1]))

    def quantile(self, share: float) -> float | None:
        """The least value that at least this share of all pixels do not exceed; None where nothing was counted.

        A relative 2^(dropped_bits - 23) too low at most.
        """
        keys, normal, defective = self._by_value()
        if not len(keys):
            return None
        reached = np.cumsum(normal + defective)
        place = min(int(np.searchsorted(reached, share * float(reached[-1]))), len(keys) - 1)
        return _value(int(keys[place]) << self.dropped_bits)

    def _by_value(self) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """Keys of the distinct values, rising, and how many normal and defective pixels have each, (k,) each."""
        self._settle()
        one = np.uint64(1)
        keys, is_defective = self._codes >> one, (self._codes & one).astype(np.int64)
        distinct, normal = _summed(keys, self._counts * (1 - is_defective))
        return distinct, normal, _summed(keys, self._counts * is_defective)[1]

    def _wait(self, codes: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        """Merging costs as much as all that is there, so it waits until as much again has come together."""
        self._waiting.append((codes, counts))
        if sum(len(codes) for codes, _ in self._waiting) > max(len(self._codes), self.limit // 4):
            self._settle()

    def _settle(self) -> None:
        if not self._waiting:
            return
        codes = np.concatenate([self._codes, *(codes for codes, _ in self._waiting)])
        counts = np.concatenate([self._counts, *(counts for _, counts in self._waiting)])
        self._waiting = []
        self._codes, self._counts = _summed(codes, counts)
        while len(self._codes) > self.limit:
            self._drop_to(self.dropped_bits + 1)

    def _drop_to(self, dropped_bits: int) -> None:
        if dropped_bits > self.dropped_bits:
            self._settle()
            self._codes, self._counts = _summed(_dropped(self._codes, dropped_bits - self.dropped_bits), self._counts)
            self.dropped_bits = dropped_bits


def _coded(values: NDArray[np.float32], labels: NDArray[np.bool_], dropped_bits: int) -> NDArray[np.uint64]:
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 + 0 = 0: the two zeros are one value
    keys = np.where(bits & SIGN, ~bits, bits | SIGN) >> np.uint32(dropped_bits)
    codes: NDArray[np.uint64] = keys.astype(np.uint64) << np.uint64(1) | labels.astype(np.uint64)
    return codes


def _value(key: int) -> float:
    """The float32 that a key stands for: the inverse of what `_coded` does to one."""
    bits = np.array([key], dtype=np.uint32)
    return float(np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float32)[0])


def _dropped(codes: NDArray[np.uint64], more_bits: int) -> NDArray[np.uint64]:
    """Codes without further low bits of their values; the label stays."""
    one = np.uint64(1)
    return codes >> np.uint64(more_bits + 1) << one | codes & one


def _summed(codes: NDArray[np.uint64], counts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Sorts codes and sums the counts of equal ones."""
    if not len(codes):
        return codes, counts
    order = np.argsort(codes, kind="stable")  # quick on the sorted stretches that they consist of
    codes, counts = codes[order], counts[order]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    return codes[starts], np.add.reduceat(counts, starts)
