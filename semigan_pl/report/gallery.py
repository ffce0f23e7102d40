"""A page of images ranked by suspicion, the most suspicious first, in one HTML file that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from semigan_pl.report import overlays
from semigan_pl.report.charts import LARGEST, histogram_edges
from semigan_pl.report.html import address, write_page
from semigan_pl.report.style import DARK, LIGHT, Drawing, Theme, render

LARGEST_TILE = 256  # px: a page of a hundred cards stays a few MB
SMALL_TILE = 64  # px: up to here pixels are kept and shown as squares; larger tiles are photographs, hence JPEG
MANY = 100  # images in one bin, from which on the few suspicious ones would vanish on a linear axis
CHART_SIZE = (2.7, 4.6)  # inches: height, width


@dataclass(frozen=True)
class Card:
    """One image and what was found out about it.

    Args:
        rank: 1 is the most suspicious.
        path: where the image lies; shown as it is.
        score: higher is more anomalous.
        tiles: pictures by name ("input", "reconstruction", ...), each uint8 (H, W, 3) of any size.
        decision: whether it is called anomalous; None where nothing was decided.
        details: more to say of it, by name: other score terms, its class.
    """

    rank: int
    path: str
    score: float
    tiles: dict[str, NDArray[np.uint8]]
    decision: bool | None = None
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gallery:
    """What the page says.

    Args:
        title: heading, and the name of the browser's tab.
        lead: sentences at the top.
        cards: in any order; an iterator is read once, so that not all pictures need be in memory together.
        facts: short facts by name.
        commands: an instruction -> what to type in a shell.
        scores: of all images, those without a card too, for the histogram; None: no histogram.
        threshold: above it an image is called anomalous; None where nothing was decided.
        has_overlays: explain the colours of `overlays.heat`.
    """

    title: str
    lead: list[str]
    cards: Iterable[Card]
    facts: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    scores: NDArray[Any] | None = None
    threshold: float | None = None
    has_overlays: bool = False


class Shown(NamedTuple):
    """A card as the template needs it."""

    card: Card
    tiles: dict[str, str]  # name -> data: address
    is_small: bool  # pixels are to be seen as squares
    folder: list[str]  # of the path, in parts after which a line may break
    name: str  # the path's last part


def write_gallery(path: Path, gallery: Gallery) -> Path:
    """Writes the page, whole or not at all; returns its path."""
    return write_page(path, "gallery.html.jinja", _content(gallery))


def histogram(scores: NDArray[Any], threshold: float | None) -> Drawing:
    """Numbers of images by score, apart on both sides of the threshold. Wants at least one finite score."""
    values = np.clip(scores[np.isfinite(scores)], -LARGEST, LARGEST)
    place = None if threshold is None else float(np.clip(threshold, -LARGEST, LARGEST))
    edges, is_log = histogram_edges(values, place)
    above = np.zeros(len(values), dtype=bool) if place is None else values > place

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        words = ("images", "above") if place is None else ("not above", "above")
        looks = ((words[0], ~above, theme.normal, None, 0.30), (words[1], above, theme.anomalous, "////", 0.12))
        for name, chosen, colour, hatch, opacity in looks:
            if not chosen.any():
                continue
            # What lies beyond the axis goes to the end bins.
            shown = np.clip(values[chosen], edges[0], edges[-1])
            look: dict[str, Any] = {"histtype": "stepfilled", "edgecolor": colour, "linewidth": 1.2, "hatch": hatch}
            axes.hist(shown, edges.tolist(), label=f"{name} ({len(shown):,})", facecolor=(colour, opacity), **look)
        if place is not None:
            axes.axvline(place, color=theme.ink, linewidth=1.1, linestyle="--", label=f"threshold {place:.4g}")
        axes.set(xscale="log" if is_log else "linear", xlim=(edges[0], edges[-1]), xlabel="score", ylabel="images")
        if np.histogram(values, edges)[0].max() >= MANY:
            axes.set_yscale("log")
            axes.set(ylim=(0.6, None), ylabel="images, logarithmic")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        figure.legend(loc="outside upper center", ncols=3)

    return draw


def _content(gallery: Gallery) -> dict[str, Any]:
    """Everything that the template shows."""
    shown = [_shown(card) for card in gallery.cards]
    shown.sort(key=lambda entry: entry.card.rank)
    return {
        "gallery": gallery,
        "shown": shown,
        "tile_names": list(dict.fromkeys(name for entry in shown for name in entry.tiles)),
        "n_tiles": max((len(entry.tiles) for entry in shown), default=0),
        "chart": _chart(gallery),
        "colour_bar": overlays.colour_bar(),
        "faintest": overlays.FAINTEST,
        "brightest": overlays.BRIGHTEST,
    }


def _chart(gallery: Gallery) -> dict[str, str] | None:
    """Addresses of the histogram, "light" and "dark", and its words."""
    if gallery.scores is None or not np.isfinite(gallery.scores).any():
        return None
    drawing = histogram(gallery.scores, gallery.threshold)
    light, dark = (address(render(drawing, theme, *CHART_SIZE)) for theme in (LIGHT, DARK))
    words = "no threshold" if gallery.threshold is None else f"the threshold at {gallery.threshold:.4g}"
    return {"light": light, "dark": dark, "alt": f"Histogram of {len(gallery.scores):,} scores, with {words}."}


def _shown(card: Card) -> Shown:
    *folder, name = _parts(card.path)
    is_small = all(max(pixels.shape[:2]) <= SMALL_TILE for pixels in card.tiles.values())
    tiles = {name: _tile(pixels, is_small) for name, pixels in card.tiles.items()}
    return Shown(card, tiles, is_small, folder, name)


def _parts(path: str) -> Iterator[str]:
    """The path cut behind each separator, of Windows too."""
    start = 0
    for end, letter in enumerate(path.rstrip("/\\"), start=1):
        if letter in "/\\":
            yield path[start:end]
            start = end
    yield path[start:]


def _tile(pixels: NDArray[np.uint8], is_small: bool) -> str:
    """A tile as an address; a large one is shrunk."""
    buffer = io.BytesIO()
    if is_small:
        Image.fromarray(pixels).save(buffer, "png")
        return address(buffer.getvalue())
    Image.fromarray(overlays.within(pixels, LARGEST_TILE)).save(buffer, "jpeg", quality=85)
    return address(buffer.getvalue(), "jpeg")
