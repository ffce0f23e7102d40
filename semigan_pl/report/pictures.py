"""Example images as PNG files: pixels stay pixels (nearest neighbour), all difference maps share one scale."""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from semigan_pl.report.run_files import Examples
from semigan_pl.report.style import Drawing, Theme, plain

KINDS = {  # kind in examples.npz -> heading on the page
    "normal": "Normal images",
    "anomalous": "Anomalies",
    "false alarm": "False alarms: normal images called anomalous",
    "missed": "Misses: anomalies called normal",
}
COLOUR_MAP = "magma"  # its lightness rises evenly, so it reads the same without colour vision
OUTLINED = ("input", "difference")  # tiles that show the true defect
SMALLEST_SIDE, LARGEST_SIDE = 240, 256  # px of a tile in the file: sharp on a screen, yet a page of a few MB
STROKES_PER_SIDE = 120  # so many widths of a stroke make a tile: about one px where it is shown
DARK_STROKE, LIGHT_STROKE = 0, 255  # side by side, so that one of them stands out on any image


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 -> a PNG file."""
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(pixels), format="png")
    return buffer.getvalue()


def sized(pixels: np.ndarray, defect: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) uint8 enlarged by a whole factor if it is small, shrunk by one if it is huge; the defect outlined.

    defect: (H, W) bool, or None to draw no outline.
    """
    height, width = pixels.shape[:2]
    enlarge = -(-SMALLEST_SIDE // min(height, width))
    shrink = max(height, width) // LARGEST_SIDE
    if shrink > 1 and enlarge == 1:
        height, width = height // shrink, width // shrink
        blocks = height, shrink, width, shrink
        pixels = pixels[: height * shrink, : width * shrink]
        pixels = np.rint(pixels.reshape(*blocks, 3).mean(axis=(1, 3))).astype(np.uint8)
        if defect is not None:
            defect = np.any(defect[: height * shrink, : width * shrink].reshape(blocks), axis=(1, 3))
    shown = pixels.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    return shown if defect is None else outlined(shown, defect.repeat(enlarge, axis=0).repeat(enlarge, axis=1))


def outlined(pixels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 with a dark and a light line around `inside`, (H, W) bool: none of its own pixels is covered."""
    stroke = max(1, round(min(inside.shape) / STROKES_PER_SIDE))
    near = widened(inside, stroke)
    drawn = pixels.copy()
    drawn[widened(near, stroke) & ~near] = LIGHT_STROKE
    drawn[near & ~inside] = DARK_STROKE
    return drawn


def widened(inside: np.ndarray, width: int) -> np.ndarray:
    """An area (H, W) bool and what lies within so many pixels of it, along rows, columns and diagonals."""
    framed = np.pad(inside, width)
    for axis, side in enumerate(inside.shape):
        parts = [framed.take(range(shift, shift + side), axis) for shift in range(2 * width + 1)]
        framed = np.logical_or.reduce(parts)
    return framed


def map_scale(examples: Examples) -> float:
    """The difference shown as the brightest colour: 99.8 % of all pixels shown are below it."""
    if examples.maps is None:
        return 1.0
    return float(np.quantile(examples.maps, 0.998)) or 1.0


def tiles(examples: Examples, row: int, scale: float) -> dict[str, np.ndarray]:
    """What there is to show of one example, by name, each (H, W, 3) uint8."""
    shown = {"input": rgb(examples.images[row])}
    if examples.reconstructions is not None:
        levels = (np.clip(examples.reconstructions[row], -1, 1) + 1) * 127.5
        shown["reconstruction"] = rgb(np.rint(levels).astype(np.uint8))
    if examples.maps is not None:
        colours = matplotlib.colormaps[COLOUR_MAP](np.clip(examples.maps[row, 0] / scale, 0, 1))  # (H, W, 4)
        shown["difference"] = np.rint(colours[..., :3] * 255).astype(np.uint8)
    return shown


def drawn_tiles(examples: Examples, row: int, scale: float) -> dict[str, np.ndarray]:
    """The tiles of one example at the size of the page, the defect outlined where it is known and there to be seen."""
    return {
        name: sized(pixels, examples.defect(row) if name in OUTLINED else None)
        for name, pixels in tiles(examples, row, scale).items()
    }


def colour_bar() -> list[str]:
    """The colours of the difference maps from 0 to the scale, as hexadecimal words."""
    steps = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, 9))
    return ["#" + "".join(f"{round(255 * float(part)):02x}" for part in step[:3]) for step in steps]


def headings(examples: Examples) -> dict[str, str]:
    """Kind -> heading, for the kinds there are, the known ones first."""
    there = [str(kind) for kind in np.unique(examples.kind)]
    known = {kind: heading for kind, heading in KINDS.items() if kind in there}
    return known | {kind: kind for kind in there if kind not in KINDS}


def rows_of(examples: Examples, kind: str, most: int) -> list[int]:
    """Rows of the first `most` examples of a kind."""
    return [int(row) for row in np.flatnonzero(examples.kind == kind)[:most]]


def sheet_size(examples: Examples, most: int) -> tuple[float, float]:
    """Width and height of the sheet in inches."""
    lines = len(tiles(examples, 0, 1.0))
    return 0.9 + 0.72 * most, len(headings(examples)) * (0.72 * lines + 0.35)


def sheet(examples: Examples, most: int) -> Drawing:
    """All kinds on one sheet: a block for each kind, a line each for input, reconstruction, difference."""
    kinds, scale = headings(examples), map_scale(examples)

    def draw(figure: Figure, theme: Theme) -> None:
        blocks = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
        for axes, (kind, heading) in zip(blocks, kinds.items(), strict=True):
            shown = [drawn_tiles(examples, row, scale) for row in rows_of(examples, kind, most)]
            axes.imshow(mosaic([list(column.values()) for column in shown], most), interpolation="antialiased")
            axes.set_title(plain(heading, 60))
            lines = len(shown[0])
            height = axes.get_ylim()[0] + 0.5
            axes.set_yticks([(line + 0.5) * height / lines for line in range(lines)], labels=list(shown[0]))
            axes.set_xticks([])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)

    return draw


def mosaic(columns: list[list[np.ndarray]], n_columns: int) -> np.ndarray:
    """Columns of equal tiles (H, W, 3) uint8 -> one picture with transparent gaps, (rows, columns, 4) uint8."""
    height, width, _ = columns[0][0].shape
    gap = max(1, width // 16)
    picture = np.zeros((len(columns[0]) * (height + gap), n_columns * (width + gap), 4), dtype=np.uint8)
    for column, column_tiles in enumerate(columns):
        for line, tile in enumerate(column_tiles):
            top, left = line * (height + gap), column * (width + gap)
            picture[top : top + height, left : left + width, :3] = tile
            picture[top : top + height, left : left + width, 3] = 255
    return picture


def rgb(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 -> (H, W, 3)."""
    return np.repeat(image.transpose(1, 2, 0), 3, axis=2) if len(image) == 1 else image[:3].transpose(1, 2, 0)
