"""An anomaly map in the geometry of the image it was made from, and laid over that image."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semigan_pl.report.pictures import COLOUR_MAP

LONGEST_SIDE = 1024  # px of an overlay: sharp on a screen, whatever the camera delivers
# In units of the level that normal pixels seldom exceed: nothing shows under the first, all looks alike above the last.
FAINTEST, BRIGHTEST = 0.75, 3.0
DARKEST_COLOUR = 0.35  # of the colour map: magma starts in black, which a dark image would swallow
MOST_OPAQUE = 0.8  # what glows can still be seen through


def to_original(values: NDArray[Any], size: tuple[int, int], resize: str) -> NDArray[np.float32]:
    """A map of the square that a model saw, (H, W), back in the geometry of the original image: (height, width).

    Args:
        values: the map of the image after `data.resize`.
        size: (width, height) of the original image, in pixels.
        resize: data.resize, of which this is the inverse. "crop": 0 where nothing was looked at; placed to half a
            pixel of the original. "pad": the padding is cut away.
    """
    square = Image.fromarray(np.asarray(values, dtype=np.float32))
    seen = (0, 0, *size)  # the part of the original that fills the square
    filled: tuple[int, int, int, int] | None = (0, 0, *square.size)  # the part of the square that the original fills
    if resize == "crop":
        side = min(size)
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        seen = (left, top, left + side, top + side)
    elif resize == "pad":
        filled = ImageOps.pad(Image.new("L", size, 255), square.size).getbbox()
    elif resize != "stretch":
        raise ValueError(f"data.resize={resize} must be stretch, crop or pad")
    original = Image.new("F", size, 0.0)
    if filled is not None:  # a line thinner than a pixel of the square left no trace in it
        part = square.crop(filled).resize((seen[2] - seen[0], seen[3] - seen[1]), Image.Resampling.BILINEAR)
        original.paste(part, seen[:2])
    return np.asarray(original)


def heat(image: NDArray[np.uint8], values: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    """The image with its anomaly map laid over it: clear where the map is low, from purple to light yellow where high.

    Comparable between images: the colours depend on this image and on `scale` alone.

    Args:
        image: (H, W) or (H, W, 3), uint8.
        values: the map in the same geometry, (H, W); not a number counts as 0.
        scale: level of the map that normal pixels seldom exceed.

    Returns:
        (H', W', 3) uint8; a longer side above LONGEST_SIDE is shrunk to it.
    """
    if image.shape[:2] != values.shape:
        raise ValueError(f"a map of shape {values.shape} does not lie over an image of shape {image.shape[:2]}")
    level = max(scale, 1e-12)
    ratio = np.clip(np.nan_to_num(values), FAINTEST * level, BRIGHTEST * level) / level
    ratio = within(ratio.astype(np.float32), LONGEST_SIDE)  # (H', W')
    base = within(image, LONGEST_SIDE)
    base = base if base.ndim == 3 else base[..., None]  # (H', W', 1 or 3)
    glow = (np.log(ratio / FAINTEST) / np.log(BRIGHTEST / FAINTEST)).clip(0, 1)
    colours = 255 * matplotlib.colormaps[COLOUR_MAP](DARKEST_COLOUR + (1 - DARKEST_COLOUR) * glow)[..., :3]
    opacity = MOST_OPAQUE * np.minimum(1, 3 * glow)[..., None]
    return np.rint(base * (1 - opacity) + colours * opacity).astype(np.uint8)


def colour_bar() -> list[str]:
    """The colours of `heat` from FAINTEST to BRIGHTEST times the scale, in even steps of the ratio's logarithm."""
    steps = matplotlib.colormaps[COLOUR_MAP](np.linspace(DARKEST_COLOUR, 1, 9))
    return ["#" + "".join(f"{round(255 * float(part)):02x}" for part in step[:3]) for step in steps]


def within(pixels: NDArray[Any], longest: int) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, 3), shrunk (antialiased) so that no side is longer than `longest` px; never enlarged."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    return np.asarray(image)
