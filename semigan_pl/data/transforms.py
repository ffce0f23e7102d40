"""From a decoded image of any kind to the array that networks expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semigan_pl.checks import is_number, shown, whole


@dataclass(frozen=True)
class ImageFormat:
    """Turns a PIL image into uint8 (C, H, W), antialiased.

    16-bit images are scaled to 8 bits, transparent pixels lie on white, the orientation of EXIF is applied.

    Args:
        image_size: height and width, in pixels.
        channels: 1 (grey) or 3 (RGB).
        resize: "stretch" to the square, "crop" its centre, or "pad" with black.
        mean_grey: scale every image to this mean, in grey levels (0..255); None leaves the brightness as it is.
    """

    image_size: int
    channels: int
    resize: str
    mean_grey: float | None

    def __post_init__(self) -> None:
        if isinstance(self.channels, bool) or self.channels not in (1, 3):
            raise ValueError(f"data.channels={shown(self.channels)} must be 1 (grey) or 3 (RGB)")
        if self.resize not in ("stretch", "crop", "pad"):
            raise ValueError(f"data.resize={shown(self.resize)} must be stretch, crop or pad")
        whole("data.image_size", self.image_size, least=1)
        if self.mean_grey is not None and not (is_number(self.mean_grey) and 0 < self.mean_grey < 255):
            raise ValueError(
                f"data.mean_grey={shown(self.mean_grey)} must lie between 0 (black) and 255 (white): take 128"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.image_size, self.image_size

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        image = upright(image)
        # Pillow's resampling widens its kernel when it shrinks, that is, it antialiases; bilinear cannot overshoot.
        image = self._square(image.convert("L" if self.channels == 1 else "RGB"), Image.Resampling.BILINEAR)
        pixels = self._brightened(np.asarray(image))  # (H, W) or (H, W, 3)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def mask(self, mask: Image.Image) -> NDArray[np.bool_]:
        """Defective pixels, (image_size, image_size), of a mask of any size with the image's geometry.

        A pixel is defective where the defect covers at least half as much of it as of the pixel it covers most: half
        of a pixel in general, and a scratch thinner than a pixel does not vanish. No grey is invented.
        """
        levels = _mask_levels(ImageOps.exif_transpose(mask))
        # Edges may be grey; a mask without a bright pixel holds labels (0, 1, 2, ...), where any but 0 is a defect.
        defective = levels > (127 if levels.max(initial=0) > 127 else 0)
        covered = self._square(Image.fromarray(defective.astype(np.float32)), Image.Resampling.BOX)
        shares = np.asarray(covered)  # (H, W), covered share of every pixel
        chosen: NDArray[np.bool_] = (shares > 0) & (shares >= 0.5 * shares.max(initial=0))
        return chosen

    def _square(self, image: Image.Image, resampling: Image.Resampling) -> Image.Image:
        size = (self.image_size, self.image_size)
        if image.size == size:
            return image
        if self.resize == "crop":
            return ImageOps.fit(image, size, resampling)
        if self.resize == "pad":
            return ImageOps.pad(image, size, resampling)
        return image.resize(size, resampling)

    def _brightened(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels at the wanted mean, as near as 8 bits and white allow; a black image stays black."""
        if self.mean_grey is None or not pixels.any():
            return pixels
        return np.rint(pixels * (self.mean_grey / pixels.mean())).clip(0, 255).astype(np.uint8)


def upright(image: Image.Image) -> Image.Image:
    """The image as a person sees it: turned as EXIF says, 8 bits, transparent pixels on white."""
    return _opaque(_eight_bit(ImageOps.exif_transpose(image)))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit grey values (Pillow's modes I;16 and I) by 1/257: Pillow's own conversion would clip them."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range: save the image with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(pixels.clip(0, 65535) / 257).astype(np.uint8))


def _mask_levels(mask: Image.Image) -> NDArray[np.uint8]:
    """How strongly each pixel of a mask is marked, (H, W): its brightest channel, so that pure red is bright.

    What is transparent is not marked; where all that shows has one colour, perhaps black, opacity is the mark.
    """
    if not mask.has_transparency_data:
        eight_bit = mask if mask.mode == "L" else _eight_bit(mask).convert("RGB")
        levels = np.atleast_3d(np.asarray(eight_bit))
        # The colours of a palette stand for labels, be they dark or bright.
        is_label = mask.mode == "P" and bool(np.ptp(levels, axis=2).any())
        return (levels.max(axis=2) > 0) * np.uint8(255) if is_label else levels.max(axis=2)
    pixels = np.asarray(mask.convert("RGBA"))
    brightest, opacity = pixels[..., :3].max(axis=2), pixels[..., 3]
    if (opacity == opacity.flat[0]).all():
        return brightest
    visible = pixels[opacity > 127][:, :3]
    return opacity if (visible == visible[:1]).all() else np.minimum(brightest, opacity)


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
