"""The most suspicious of many images, as cards for a page."""

from __future__ import annotations

import csv
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray

from semigan_pl.checks import whole
from semigan_pl.detector import Detection
from semigan_pl.report.gallery import Card
from semigan_pl.report.overlays import heat
from semigan_pl.report.pictures import rgb


class Suspects:
    """Keeps the cards of the images with the highest scores, however many there are.

    Args:
        limit: cards to keep.
    """

    def __init__(self, limit: int) -> None:
        self.limit = whole("cards", limit, least=0)
        self._cards: list[Card] = []

    def add(self, card: Card) -> None:
        self._cards.append(card)
        if len(self._cards) >= 2 * self.limit + 64:
            self._cards = self.cards()

    def cards(self) -> list[Card]:
        """The most suspicious first, with their ranks; of equal scores the one that came first."""
        ordered = sorted(self._cards, key=lambda card: -card.score)[: self.limit]
        return [replace(card, rank=rank) for rank, card in enumerate(ordered, start=1)]


def tiles(found: Detection, scale: float | None) -> dict[str, NDArray[np.uint8]]:
    """What there is to see of a detection at the detector's size, by name, each (H, W, 3)."""
    shown = {"input": rgb(found.image)}
    if found.reconstruction is not None:
        shown["reconstruction"] = rgb(found.reconstruction)
    if found.anomaly_map is not None and scale is not None:
        shown["suspicious"] = heat(shown["input"], found.anomaly_map, scale)
    return shown


def details(found: Detection) -> dict[str, str]:
    """Every term as text."""
    return {name: f"{value:.4g}" for name, value in found.terms.items()}


@contextmanager
def growing_table(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """A csv that grows row by row under `<name>.unfinished.csv` and gets its name when it is whole.

    Killed half-way, what was computed until then can still be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".unfinished{path.suffix}")
    with unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        try:
            yield writer
        except BaseException:
            print(f"\nStopped: what was computed until then is in {unfinished}", file=sys.stderr)
            raise
    unfinished.replace(path)


def command() -> str:
    """What was typed, for a shell."""
    return shlex.join(["python", "run.py", *HydraConfig.get().overrides.task])


class Stopwatch:
    """Images per second since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def rate(self, n_images: int) -> float:
        return n_images / max(time.perf_counter() - self._start, 1e-9)
