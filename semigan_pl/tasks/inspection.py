"""Images from their files to what a detector says of them, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.cache import UNREADABLE
from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.loader import read_ahead
from semigan_pl.data.transforms import upright
from semigan_pl.detector import Detector
from semigan_pl.report.overlays import LONGEST_SIDE, within
from semigan_pl.tasks.suspects import Seen


class _Image(NamedTuple):
    """One that could be read."""

    position: int
    prepared: NDArray[np.uint8]  # what the detector sees, (C, H, W)
    original: NDArray[np.uint8]  # (H, W, 3), at most LONGEST_SIDE large


def inspected(
    detector: Detector, source: ImageSource, positions: Sequence[int], broken: dict[int, str]
) -> Iterator[list[Seen]]:
    """What the detector says of the images at these positions, in order, a block at a time.

    The next block is read meanwhile. Those that cannot be read go into `broken`, with their file and the reason.
    """
    for block in read_ahead(_blocks(detector, source, positions, broken)):
        pixels = np.stack([image.prepared for image in block])
        said = detector.inspect(pixels, [source.paths[image.position] for image in block])
        yield [Seen(image.position, found, image.original) for image, found in zip(block, said, strict=True)]


def _blocks(
    detector: Detector, source: ImageSource, positions: Sequence[int], broken: dict[int, str]
) -> Iterator[list[_Image]]:
    block = list[_Image]()
    for position in positions:
        try:
            image = source.read(position)
            original = within(np.asarray(upright(image).convert("RGB")), LONGEST_SIDE)
            block.append(_Image(position, detector.image_format(image), original))
        except UNREADABLE as error:
            broken[position] = f"{source.paths[position]} ({error})"
        if len(block) == detector.module.block_size:
            yield block
            block = []
    if block:
        yield block
