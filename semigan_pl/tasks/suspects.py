"""The most suspicious of many images, as cards for a page."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray

from semigan_pl.checks import whole
from semigan_pl.detector import Detection, Detector
from semigan_pl.report.gallery import Card
from semigan_pl.report.overlays import heat, to_original
from semigan_pl.report.pictures import rgb


class Seen(NamedTuple):
    """An image and what the detector says of it."""

    position: int  # in the image source
    found: Detection
    original: NDArray[np.uint8] | None = None  # (H, W, 3), upright; None: there is only what the detector saw


class Suspects:
    """Keeps the images with the highest scores, however many there are.

    Args:
        limit: images to keep.
    """

    def __init__(self, limit: int) -> None:
        self.limit = whole("cards", limit, least=0)
        self._kept: list[Seen] = []
        self._least = -np.inf  # a score that so many have reached

    def add(self, seen: Seen) -> None:
        if not self.limit or seen.found.score <= self._least:
            return
        self._kept.append(seen._replace(found=_alone(seen.found)))
        if len(self._kept) >= 2 * self.limit + 64:
            self._kept = self.ranked()
            self._least = self._kept[-1].found.score

    def ranked(self) -> list[Seen]:
        """The most suspicious first; of equal scores the one that came first."""
        return sorted(self._kept, key=lambda seen: -seen.found.score)[: self.limit]


def _alone(found: Detection) -> Detection:
    """With pictures of its own: those that it came with are parts of its block's, and keep all of them in memory."""

    def own(picture: NDArray[Any] | None) -> Any:
        return None if picture is None else picture.copy()

    return found._replace(
        image=own(found.image), reconstruction=own(found.reconstruction), anomaly_map=own(found.anomaly_map)
    )


def overlay(seen: Seen, detector: Detector) -> NDArray[np.uint8] | None:
    """The image under its heat, (H, W, 3); None: the method has no maps."""
    values, scale = seen.found.anomaly_map, detector.map_scale
    if values is None or scale is None:
        return None
    if seen.original is None:
        return heat(rgb(seen.found.image), values, scale)
    values = to_original(values, seen.original.shape[1::-1], detector.image_format.resize)
    return heat(seen.original, values, scale)


def cards(ranked: Iterable[Seen], detector: Detector) -> Iterator[Card]:
    """Images on a page, the most suspicious first, with everything that there is to see of each; drawn one by one."""
    for rank, seen in enumerate(ranked, start=1):
        found = seen.found
        yield Card(rank, str(found.path), found.score, tiles(seen, detector), found.is_anomalous, details(found))


def tiles(seen: Seen, detector: Detector) -> dict[str, NDArray[np.uint8]]:
    """Pictures by name, each (H, W, 3): in the original's geometry where there is a map to lay over it."""
    found, suspicious = seen.found, overlay(seen, detector)
    if seen.original is not None and suspicious is not None:
        return {"input": seen.original, "suspicious": suspicious}
    shown = {"input": rgb(found.image)}
    if found.reconstruction is not None:
        shown["reconstruction"] = rgb(found.reconstruction)
    if suspicious is not None:
        shown["suspicious"] = suspicious
    return shown


def details(found: Detection) -> dict[str, str]:
    """Every term as text."""
    return {name: f"{value:.4g}" for name, value in found.terms.items()}


def command() -> str:
    """What was typed, for a shell."""
    return shlex.join(["python", "run.py", *HydraConfig.get().overrides.task])


class Stopwatch:
    """Images per second since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def rate(self, n_images: int) -> float:
        return n_images / max(time.perf_counter() - self._start, 1e-9)
