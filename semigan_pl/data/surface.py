"""Synthetic surfaces with scratches, spots and stains: pixel truth at any size, without a download.

Everything is ours: statistically simple textures that look like brushed and like cast metal under slightly uneven
light. Lengths go with the image's side, so that a larger `image_size` shows the same kind of scene in finer detail.
Light and strength of the texture vary from image to image by more than a defect changes an image's mean and contrast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.protocol import generator
from semigan_pl.data.surface_drawing import DEFECTS, LEAST_PIXELS, TEXTURES, Field, light

PIXELS = 1  # raise it when the same parameters give other pixels: cached images are known by their fingerprint


@dataclass(frozen=True)
class Looks:
    """What shapes the pixels; the arguments of `surface`."""

    image_size: int
    textures: tuple[str, ...]
    defect_share: float
    contrast: float
    seed: int

    def __post_init__(self) -> None:
        defect = f"data.defect_share={self.defect_share}"
        if not 0 < self.defect_share <= 0.2 or self.contrast <= 0:
            raise ValueError(f"{defect} must lie in (0, 0.2], data.contrast={self.contrast} above 0")
        if self.defect_share * self.image_size**2 < LEAST_PIXELS:
            least = f"{LEAST_PIXELS} of {self.image_size} x {self.image_size} px"
            raise ValueError(f"{defect} is less than {least}: raise it or data.image_size")


class SurfaceImages(ImageSource):
    """Each image is drawn when it is read, and depends on the looks and on its path ("test/spot/7") alone."""

    has_masks = True

    def __init__(self, looks: Looks, *facts: Any, **more_facts: Any) -> None:
        super().__init__(*facts, **more_facts)
        self.looks = looks

    def read(self, position: int) -> Image.Image:
        looks, rng = self.looks, generator(self.looks.seed, f"surface {self.paths[position]}")
        texture = TEXTURES[looks.textures[rng.integers(len(looks.textures))]](rng, looks.image_size)
        if self.classes[position]:
            cover, change = self._defect(position)
            texture = texture * (1 - 0.5 * cover) + looks.contrast * change  # a defect has less of the finish
        spread = rng.uniform(9, 16)  # standard deviation of the texture, grey levels
        noise = rng.normal(0, 1.5, texture.shape)  # of the camera
        grey = (rng.uniform(95, 150) + spread * texture) * light(rng, looks.image_size) + noise
        return Image.fromarray(np.rint(grey).clip(0, 255).astype(np.uint8))

    def mask(self, position: int) -> Image.Image:
        """White where at least half of a pixel is defective; black for a plain image."""
        if not self.classes[position]:
            return Image.new("L", (self.looks.image_size, self.looks.image_size))
        return Image.fromarray(np.where(self._defect(position)[0] >= 0.5, 255, 0).astype(np.uint8))

    def fingerprint(self, positions: Iterable[int]) -> str:
        content = repr((PIXELS, self.looks, [self.paths[position] for position in positions]))
        return hashlib.sha256(content.encode()).hexdigest()

    def _defect(self, position: int) -> tuple[Field, Field]:
        """(covered share of every pixel, change of grey in [-1, 1]) of a defective image."""
        looks, rng = self.looks, generator(self.looks.seed, f"surface defect {self.paths[position]}")
        area = looks.defect_share * looks.image_size**2 * rng.uniform(0.7, 1.3)
        return DEFECTS[self.class_names[self.classes[position]]](rng, looks.image_size, area)


def surface(
    name: str,
    image_size: int,
    train_images: int,
    train_anomalies: int,
    test_images: int,
    test_anomaly_share: float,
    kinds: Sequence[str],
    textures: Sequence[str],
    defect_share: float,
    contrast: float,
    seed: int,
) -> SurfaceImages:
    """Images of the class "plain", and of one class per kind of defect.

    Args:
        image_size: height and width, pixels.
        train_images: plain images in the training part.
        train_anomalies: defective images in the training part, from which hidden and known anomalies are drawn.
        test_images: images in the test part, both kinds.
        test_anomaly_share: share of defective images among them.
        kinds: kinds of defect, equally frequent: names of DEFECTS.
        textures: kinds of surface, drawn for each image: names of TEXTURES.
        defect_share: share of defective pixels in a defective image; single images have 0.7 to 1.3 times as many.
        contrast: strongest change of grey in a defect, in standard deviations of the texture.

    Raises:
        ValueError: a kind or texture is unknown, a share or the contrast makes no sense, or defects would vanish.
    """
    looks = Looks(image_size, tuple(textures), defect_share, contrast, seed)
    for option, names, known in (("kinds", kinds, DEFECTS), ("textures", textures, TEXTURES)):
        if not names or set(names) - set(known) or len(set(names)) < len(names):
            raise ValueError(f"data.{option}={list(names)} must name one or more of {', '.join(known)}, each once")
    if not 0 <= test_anomaly_share <= 1:
        raise ValueError(f"data.test_anomaly_share={test_anomaly_share} must lie in [0, 1]: it is a share")
    n_anomalies = round(test_anomaly_share * test_images)
    counts = {"train": (train_images, train_anomalies), "test": (test_images - n_anomalies, n_anomalies)}
    rows = []  # (part, label, number)
    for part, (n_plain, n_defective) in counts.items():
        rows += [(part, 0, number) for number in range(n_plain)]
        rows += [(part, 1 + number % len(kinds), number // len(kinds)) for number in range(n_defective)]
    class_names = ["plain", *kinds]
    paths = [f"{part}/{class_names[label]}/{number}" for part, label, number in rows]
    note = f"Synthetic surfaces; {defect_share:.2%} of the pixels of a defective image are defective, on average."
    parts, labels = [part for part, *_ in rows], [label for _, label, _ in rows]
    return SurfaceImages(looks, name, class_names, labels, parts, paths, notes=[note])
