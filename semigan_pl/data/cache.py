"""Images decoded once: in memory, or in a memory-mapped file where they are many."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semigan_pl.checks import number, shown
from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.progress import counted

ABANDONED_AFTER = 24 * 3600  # seconds; no build takes that long, so an older unfinished file belongs to nobody
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises on broken files


@dataclass(frozen=True)
class ImageCache:
    """Holds decoded images as one uint8 array.

    Args:
        folder: where memory-mapped files are kept, under a name that is a hash of content and format.
        memory_mb: what is larger, with all its smaller copies, becomes memory-mapped files.
    """

    folder: str
    memory_mb: float

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str):
            raise ValueError(f"data.cache_dir={shown(self.folder)} must be a folder")
        number("data.cache_memory_mb", self.memory_mb, least=0)

    def load(
        self,
        source: ImageSource,
        positions: NDArray[np.int64],
        image_format: ImageFormat,
        smaller: Sequence[int] = (),
    ) -> NDArray[np.uint8]:
        """The images at these positions, (n, C, H, W), in this order, decoded once.

        Args:
            smaller: resolutions of the copies that will be made of them (see `pyramid`): they take memory too.

        Raises:
            ValueError: images cannot be decoded.
        """
        shape = (len(positions), *image_format.shape)
        squares = [resolution**2 for resolution in (image_format.image_size, *smaller)]
        if len(positions) * image_format.channels * sum(squares) <= self.memory_mb * 2**20:
            images = np.empty(shape, dtype=np.uint8)
            _fill(source, positions, image_format, images)
            return images
        folder = Path(self.folder).expanduser()
        path = folder / f"{source.name}_{_key(source, positions, image_format)}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with building(path, shape) as images:
                _fill(source, positions, image_format, images)
        # Copy on write: the file stays as it is, and torch does not warn of an array that cannot be written.
        return np.load(path, mmap_mode="c")


def _key(source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat) -> str:
    content = f"{source.fingerprint(positions)} {image_format!r}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@contextmanager
def building(path: Path, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """Yields a memory-mapped file to fill, under a name of its own, and renames it when the block ends well.

    Killed half-way, it leaves nothing under `path`.
    """
    _remove_abandoned(path.parent)
    handle, unfinished = tempfile.mkstemp(suffix=".unfinished", dir=path.parent)
    os.close(handle)
    try:
        images = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        yield images
        images.flush()
        os.replace(unfinished, path)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob("*.unfinished"):
        if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
            path.unlink(missing_ok=True)


def listing(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names, for a sentence."""
    return ", ".join(names[:most]) + (" and others" if len(names) > most else "")


def unreadable(source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat) -> dict[int, str]:
    """Positions of the images that cannot be decoded, with the file and the reason; tries them all."""
    return _decode(source, positions, image_format, None)


def _fill(
    source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat, images: NDArray[np.uint8]
) -> None:
    """Fills `images`; goes through all of them before it complains, so that the user hears of all at once."""
    failures = list(_decode(source, positions, image_format, images).values())
    if failures:
        raise ValueError(
            f"{len(failures)} of {len(positions)} images of {source.name} cannot be read: repair or remove"
            f" {listing(failures)}, or go on without them: data.skip_broken=true"
        )


def _decode(
    source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat, images: NDArray[np.uint8] | None
) -> dict[int, str]:
    """Decodes into `images`, if given; returns what could not be, by position."""
    failures = {}
    for row in counted(len(positions), f"Reading {source.name}", "images"):
        position = int(positions[row])
        try:
            pixels = image_format(source.read(position))
        except UNREADABLE as error:
            failures[position] = f"{source.paths[position]} ({error})"
            continue
        if images is not None:
            images[row] = pixels
    return failures
