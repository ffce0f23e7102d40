"""A contact sheet: strips of images as the network sees them, with the outlines of marked defects."""

from typing import NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from semigan_pl.report.style import LIGHT, Drawing, Theme, plain, render

COLUMNS = 8  # images in a strip
PITCH = 1.05  # inches from image to image; an image measures 1 inch
TITLE, CAPTION, MARGIN = 0.3, 0.17, 0.15  # inches
SHARP = 128  # px from which on an image is shown antialiased; smaller ones keep their pixels


class Strip(NamedTuple):
    """Images that belong together, at most COLUMNS of them."""

    title: str
    is_anomalous: bool
    images: list[np.ndarray]  # (C, H, W) uint8 each
    outlines: list[np.ndarray | None]  # (H, W) bool: pixels inside of the outline
    captions: list[str]  # one an image, or none at all

    @property
    def height(self) -> float:
        """In inches."""
        return TITLE + PITCH + (CAPTION if self.captions else 0)


def contact_sheet(heading: str, strips: list[Strip]) -> bytes:
    """The sheet as a PNG file."""
    width = 2 * MARGIN + COLUMNS * PITCH
    height = 2 * MARGIN + TITLE + sum(strip.height for strip in strips)
    return render(_sheet(heading, strips, width, height), LIGHT, height, width)


def edges(inside: np.ndarray) -> np.ndarray:
    """Sides of pixels between inside and outside, (n, 2, 2): begin and end of each as (x, y), in pixels."""
    framed = np.pad(inside, 1)
    y, x = np.nonzero(framed[:, 1:] != framed[:, :-1])  # a vertical side, right of column x of the frame
    vertical = np.stack([np.stack([x, y - 1], axis=-1), np.stack([x, y], axis=-1)], axis=1)
    y, x = np.nonzero(framed[1:] != framed[:-1])
    horizontal = np.stack([np.stack([x - 1, y], axis=-1), np.stack([x, y], axis=-1)], axis=1)
    return np.concatenate([vertical, horizontal])


def _sheet(heading: str, strips: list[Strip], width: float, height: float) -> Drawing:
    def draw(figure: Figure, theme: Theme) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))  # in inches, downwards
        axes.set_axis_off()
        axes.text(MARGIN, MARGIN + 0.14, plain(heading, 110), color=theme.muted, va="center")
        top = MARGIN + TITLE
        for strip in strips:
            colour = theme.anomalous if strip.is_anomalous else theme.normal
            axes.text(MARGIN, top + 0.18, plain(strip.title, 100), color=colour, va="center", weight="bold")
            for column, (image, inside) in enumerate(zip(strip.images, strip.outlines, strict=True)):
                left, upper = MARGIN + column * PITCH, top + TITLE
                shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
                axes.imshow(
                    shown,
                    cmap="gray",
                    vmin=0,
                    vmax=255,
                    extent=(left, left + 1, upper + 1, upper),
                    interpolation="nearest" if shown.shape[0] < SHARP else "antialiased",
                )
                if inside is not None:
                    sides = edges(inside) / len(inside) + np.array([left, upper])
                    axes.add_collection(LineCollection(list(sides), colors=theme.anomalous, linewidths=0.9))
                if strip.captions:
                    caption = plain(strip.captions[column], 16)
                    axes.text(
                        left + 0.5, upper + 1.09, caption, color=theme.muted, fontsize=7.5, ha="center", va="center"
                    )
            top += strip.height
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")

    return draw
