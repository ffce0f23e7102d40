"""Smaller copies of the cached images: growing training reads each phase at the resolution that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.cache import building
from semigan_pl.growth import ProgressiveSchedule
from semigan_pl.progress import counted

PIXELS_AT_ONCE = 2**22  # four bytes each while they are summed: 16 MiB
Images = NDArray[np.uint8]  # (n, C, H, W)


def smaller_resolutions(schedule: ProgressiveSchedule | None, image_size: int) -> list[int]:
    """What the phases read besides the full size. Raises ValueError where growth does not end at the full size."""
    if schedule is None:
        return []
    resolutions = [phase.resolution for phase in schedule.phases]
    if resolutions[-1] != image_size:
        raise ValueError(
            f"growth.last={resolutions[-1]} is not data.image_size={image_size}, which growth has to end at: "
            "make both the same power of two"
        )
    return resolutions[:-1]


def pyramid(images: Images, resolutions: Sequence[int]) -> dict[int, Images]:
    """The images and their mean-pooled copies, by resolution: (n, C, r, r) each.

    Where `images` is a memory-mapped file, so is every copy, built once beside it; a low phase touches its own alone.
    """
    whole = {images.shape[-1]: images}
    if not isinstance(images, np.memmap):
        copies = {r: np.empty((*images.shape[:2], r, r), dtype=np.uint8) for r in resolutions}
        pool(images, copies)
        return copies | whole
    assert images.filename is not None
    file = Path(images.filename)
    files = {r: file.with_name(f"{file.stem}_{r}px.npy") for r in resolutions}
    with ExitStack() as builds:
        missing = {r: path for r, path in files.items() if not path.exists()}
        shapes = {r: (*images.shape[:2], r, r) for r in missing}
        pool(images, {r: builds.enter_context(building(path, shapes[r])) for r, path in missing.items()})
    return {r: np.load(path, mmap_mode="c") for r, path in files.items()} | whole


def pool(images: Images, copies: Mapping[int, Images]) -> None:
    """Fills each copy with the means over squares of pixels, in blocks of images.

    Halved again and again as exact sums, and rounded (half up) once for each copy: no error adds up on the way down.
    The sums hold up to 2**24 pixels each, 16,384 px as 4 px.
    """
    if not copies:
        return
    size = images.shape[-1]
    block = max(1, PIXELS_AT_ONCE // int(np.prod(images.shape[1:])))
    for number in counted(-(-len(images) // block), "Pooling"):
        rows = slice(number * block, (number + 1) * block)
        sums, side = images[rows].astype(np.uint32), size
        while side > min(copies):
            sums = sums[..., ::2, :] + sums[..., 1::2, :]
            sums = sums[..., ::2] + sums[..., 1::2]
            side //= 2
            if side in copies:
                area = (size // side) ** 2
                copies[side][rows] = (sums + area // 2) // area
