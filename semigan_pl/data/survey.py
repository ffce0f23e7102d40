"""What the images of a data set are like, each read once: sizes, grey values, copies, broken files, masks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from semigan_pl.data.cache import UNREADABLE
from semigan_pl.data.image_source import ImageFiles, ImageSource
from semigan_pl.data.masks import check_size
from semigan_pl.data.transforms import ImageFormat, upright
from semigan_pl.progress import counted

LEVELS = np.arange(256.0)
KINDS = {"1": "black and white", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette", "CMYK": "CMYK"}


class Look(NamedTuple):
    """One image, upright. Mean and contrast (standard deviation) are in grey levels, over all pixels and channels."""

    position: int  # in the image source
    width: int
    height: int
    kind: str  # "grey", "colour", "grey, 16 bit", "colour, transparent", ...
    has_colour: bool
    digest: bytes  # the same for the same pixels, however they are stored
    file_size: float  # bytes; NaN where the image is no file
    mean: float
    contrast: float
    seen_mean: float  # as the network sees it, rounded to 0.1: to reach a mean with whole levels leaves a residue
    seen_contrast: float

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.width / self.height


class Survey(NamedTuple):
    """What was found: a look at every readable image, and the reasons why others could not be read, by position."""

    looks: list[Look]
    broken: dict[int, str]

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every look, (n,) float64."""
        return np.array([getattr(look, name) for look in self.looks], dtype=np.float64)

    def copies(self) -> list[list[int]]:
        """Positions of images with identical pixels, group by group; images that are alone are left out."""
        groups: dict[bytes, list[int]] = defaultdict(list)
        for look in self.looks:
            groups[look.digest].append(look.position)
        return [group for group in groups.values() if len(group) > 1]


class MaskSurvey(NamedTuple):
    """The masks of some images, by position."""

    areas: dict[int, float]  # of the defect in pixels of the network's image, fractions included
    empty: list[int]  # nothing is marked
    lost: list[int]  # something is marked, but outside of what the network sees
    missing: list[int]  # there is no mask
    broken: dict[int, str]  # unreadable or not of the size of its image, with the reason


def survey(source: ImageSource, positions: NDArray[np.int64], image_format: ImageFormat) -> Survey:
    """Looks at the images at these positions.

    Raises ValueError if not one of them can be read.
    """
    looks, broken = [], {}
    for row in counted(len(positions), f"Looking at {source.name}", "images"):
        position = int(positions[row])
        try:
            looks.append(_look(source, position, image_format))
        except UNREADABLE as error:
            broken[position] = f"{source.paths[position]} ({error})"
    if not looks:
        reason = next(iter(broken.values()))
        raise ValueError(f"none of the {len(positions)} images of {source.name} can be read: repair {reason}")
    return Survey(looks, broken)


def survey_masks(source: ImageSource, looks: Iterable[Look], image_format: ImageFormat) -> MaskSurvey:
    """Looks at the masks of these images."""
    found = MaskSurvey({}, [], [], [], {})
    for look in looks:
        try:
            mask = source.mask(look.position)
            if mask is None:
                found.missing.append(look.position)
                continue
            width, height = look.width, look.height
            check_size(mask, (width, height))
            # padded to its own longer side, a mask is judged by the same rule without being resized
            n_defective = int(ImageFormat(max(width, height), 1, "pad", None).mask(mask).sum())
            is_seen = image_format.mask(mask).any()
        except UNREADABLE as error:
            found.broken[look.position] = f"{source.paths[look.position]} ({error})"
            continue
        if n_defective:
            found.areas[look.position] = n_defective * float(area_scale(width, height, image_format)) * is_seen
        if not is_seen:
            (found.lost if n_defective else found.empty).append(look.position)
    return found


def area_scale(
    width: NDArray[np.float64] | float, height: NDArray[np.float64] | float, image_format: ImageFormat
) -> NDArray[np.float64]:
    """Pixels of the network's image that one pixel of an image of this size becomes: below 1 where it shrinks."""
    size = image_format.image_size
    if image_format.resize == "stretch":
        return np.asarray(size / width * (size / height))
    side = np.minimum(width, height) if image_format.resize == "crop" else np.maximum(width, height)
    return np.asarray((size / side) ** 2)


def _look(source: ImageSource, position: int, image_format: ImageFormat) -> Look:
    stored = source.read(position)
    image = _plain(upright(stored))
    seen = image_format(image)
    mean, contrast = _mean_and_deviation(image)
    return Look(
        position,
        *image.size,
        kind=_kind(stored, image),
        has_colour=image.mode == "RGB",
        digest=hashlib.blake2b(repr((image.size, image.mode)).encode() + image.tobytes(), digest_size=16).digest(),
        file_size=Path(source.paths[position]).stat().st_size if isinstance(source, ImageFiles) else np.nan,
        mean=mean,
        contrast=contrast,
        seen_mean=round(float(seen.mean()), 1),
        seen_contrast=round(float(seen.std()), 1),
    )


def _plain(image: Image.Image) -> Image.Image:
    """An upright image in mode L if it is grey throughout, else RGB: the same picture, however it is stored."""
    if image.mode == "L":
        return image
    red, green, blue = image.convert("RGB").split()
    is_grey = not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))
    return red if is_grey else Image.merge("RGB", (red, green, blue))


def _mean_and_deviation(image: Image.Image) -> tuple[float, float]:
    """From the histogram: exact, and quick for images of any size."""
    counts = np.reshape(image.histogram(), (-1, 256)).sum(axis=0)
    mean = float(counts @ LEVELS / counts.sum())
    return mean, float(np.sqrt(counts @ (LEVELS - mean) ** 2 / counts.sum()))


def _kind(stored: Image.Image, image: Image.Image) -> str:
    """How an image is stored, in words."""
    if stored.mode.startswith("I"):
        return "grey, 16 bit"
    base = KINDS.get(stored.mode, "colour" if image.mode == "RGB" else "grey stored as colour")
    return f"{base}, transparent" if stored.has_transparency_data else base
