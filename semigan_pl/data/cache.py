"""Images decoded once: in memory, or in a memory-mapped file where they are many."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.transforms import ImageFormat

ABANDONED_AFTER = 24 * 3600  # seconds; no build takes that long, so an older unfinished file belongs to nobody


@dataclass(frozen=True)
class ImageCache:
    """Holds decoded images as one uint8 array.

    Args:
        folder: where memory-mapped files are kept, under a name that is a hash of content and format.
        memory_mb: larger arrays become memory-mapped files.
    """

    folder: str
    memory_mb: float

    def load(self, source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat) -> NDArray[np.uint8]:
        """The images at these positions, (n, C, H, W), in this order.

        Raises:
            ValueError: images cannot be decoded.
        """
        shape = (len(positions), *image_format.shape)
        if np.prod(shape) <= self.memory_mb * 2**20:
            images = np.empty(shape, dtype=np.uint8)
            _decode(source, positions, image_format, images)
            return images
        folder = Path(self.folder).expanduser()
        path = folder / f"{source.name}_{_key(source, positions, image_format)}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _build(path, shape, source, positions, image_format)
        # Copy on write: the file stays as it is, and torch does not warn of an array that cannot be written.
        return np.load(path, mmap_mode="c")


def _key(source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat) -> str:
    content = f"{source.fingerprint(positions)} {image_format!r}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _build(
    path: Path, shape: tuple[int, ...], source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat
) -> None:
    """Builds under a name of its own and renames at the end: killed half-way, it leaves nothing under `path`."""
    _remove_abandoned(path.parent)
    handle, unfinished = tempfile.mkstemp(suffix=".unfinished", dir=path.parent)
    os.close(handle)
    try:
        images = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        _decode(source, positions, image_format, images)
        images.flush()
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob("*.unfinished"):
        if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
            path.unlink(missing_ok=True)


def _decode(
    source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat, images: NDArray[np.uint8]
) -> None:
    """Fills `images`; goes through all of them before it complains, so that the user hears of all at once."""
    failures = []
    for row in _with_progress(len(positions), f"Reading {source.name}"):
        position = int(positions[row])
        try:
            images[row] = image_format(source.read(position))
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:  # what Pillow raises on broken files
            failures.append(f"{source.paths[position]} ({error})")
    if failures:
        raise ValueError(
            f"{len(failures)} of {len(positions)} images of {source.name} cannot be read: repair or remove"
            f" {', '.join(failures[:3])}{' and others' if len(failures) > 3 else ''}"
        )


def _with_progress(total: int, description: str, patience: float = 1.0) -> Iterator[int]:
    """Counts to `total`, with a bar on the screen from the moment that it takes longer than `patience` seconds."""
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=total)
    appears = time.monotonic() + patience
    try:
        for row in range(total):
            yield row
            if progress.console.is_terminal and not progress.live.is_started and time.monotonic() > appears:
                progress.start()
            progress.update(task, completed=row + 1)
    finally:
        if progress.live.is_started:
            progress.stop()
