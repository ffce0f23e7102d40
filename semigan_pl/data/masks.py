"""Pixel truth: which pixels of an anomalous image are defective."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semigan_pl.data.cache import UNREADABLE, listing
from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.transforms import ImageFormat


class PixelTruth:
    """Masks of anomalous images at the size that the network sees, a bit a pixel.

    An anomalous image without a mask, or with one in which nothing is marked, has no pixel truth: to count its pixels
    as sound would punish a detector for finding the defect.
    """

    def __init__(self, image_size: int) -> None:
        self.shape = (image_size, image_size)
        self._packed: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def __setitem__(self, position: int, mask: NDArray[np.bool_]) -> None:
        self._packed[position] = np.packbits(mask)

    def __getitem__(self, position: int) -> NDArray[np.bool_] | None:
        """Defective pixels, (H, W); None: not known."""
        if position not in self._packed:
            return None
        bits = np.unpackbits(self._packed[position], count=self.shape[0] * self.shape[1])
        return bits.reshape(self.shape).astype(bool)


def check_size(mask: Image.Image, size: tuple[int, int]) -> None:
    """Raises ValueError unless a mask, as a person sees it, has the (width, height) of its image."""
    width, height = ImageOps.exif_transpose(mask).size
    if (width, height) != size:
        raise ValueError(f"its mask has {width} x {height} pixels and not {size[0]} x {size[1]}")


def read_masks(source: ImageSource, positions: Iterable[int], image_format: ImageFormat) -> PixelTruth:
    """Reads the masks of these images.

    Raises:
        ValueError: masks cannot be read, or are not of the size of their images.
    """
    truth, failures = PixelTruth(image_format.image_size), []
    for position in positions if source.has_masks else []:
        try:
            mask = source.mask(position)
            if mask is None:
                continue
            check_size(mask, ImageOps.exif_transpose(source.read(position)).size)
            defective = image_format.mask(mask)
        except UNREADABLE as error:
            failures.append(f"{source.paths[position]} ({error})")
            continue
        if defective.any():
            truth[position] = defective
    if failures:
        raise ValueError(
            f"the masks of {len(failures)} images of {source.name} do not fit or cannot be read: repair or remove those"
            f" of {listing(failures)}"
        )
    return truth
