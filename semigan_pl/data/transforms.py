"""From a decoded image of any kind to the array that networks expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


@dataclass(frozen=True)
class ImageFormat:
    """Turns a PIL image into uint8 (C, H, W), antialiased.

    16-bit images are scaled to 8 bits, transparent pixels lie on white, the orientation of EXIF is applied.

    Args:
        image_size: height and width, in pixels.
        channels: 1 (grey) or 3 (RGB).
        resize: "stretch" to the square, "crop" its centre, or "pad" with black.
    """

    image_size: int
    channels: int
    resize: str

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ValueError(f"data.channels={self.channels} must be 1 (grey) or 3 (RGB)")
        if self.resize not in ("stretch", "crop", "pad"):
            raise ValueError(f"data.resize={self.resize} must be stretch, crop or pad")
        if self.image_size < 1:
            raise ValueError(f"data.image_size={self.image_size} must be at least 1 pixel")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.image_size, self.image_size

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        image = _opaque(_eight_bit(ImageOps.exif_transpose(image)))
        image = self._square(image.convert("L" if self.channels == 1 else "RGB"))
        pixels = np.asarray(image)  # (H, W) or (H, W, 3)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def _square(self, image: Image.Image) -> Image.Image:
        size = (self.image_size, self.image_size)
        if image.size == size:
            return image
        # Pillow's resampling widens its kernel when it shrinks, that is, it antialiases; bilinear cannot overshoot.
        if self.resize == "crop":
            return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        if self.resize == "pad":
            return ImageOps.pad(image, size, Image.Resampling.BILINEAR)
        return image.resize(size, Image.Resampling.BILINEAR)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit grey values (Pillow's modes I;16 and I) by 1/257: Pillow's own conversion would clip them."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range: save the image with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(pixels.clip(0, 65535) / 257).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
