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
SMALLEST_SIDE, LARGEST_SIDE = 96, 256  # px of a tile in the file: sharp on a screen, yet a page of a few MB


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 -> a PNG file, enlarged by a whole factor if it is small, shrunk by one if it is huge."""
    enlarge = -(-SMALLEST_SIDE // min(pixels.shape[:2]))
    shown = pixels.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    shrink = max(pixels.shape[:2]) // LARGEST_SIDE
    if shrink > 1 and enlarge == 1:
        height, width = (side // shrink for side in pixels.shape[:2])
        blocks = pixels[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink, 3)
        shown = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(shown), format="png")
    return buffer.getvalue()


def map_scale(examples: Examples) -> float:
    """The difference shown as the brightest colour: 99.8 % of all pixels shown are below it."""
    if examples.maps is None:
        return 1.0
    return float(np.quantile(examples.maps, 0.998)) or 1.0


def tiles(examples: Examples, row: int, scale: float) -> dict[str, np.ndarray]:
    """What there is to show of one example, by name, each (H, W, 3) uint8."""
    shown = {"input": _rgb(examples.images[row])}
    if examples.reconstructions is not None:
        levels = (np.clip(examples.reconstructions[row], -1, 1) + 1) * 127.5
        shown["reconstruction"] = _rgb(np.rint(levels).astype(np.uint8))
    if examples.maps is not None:
        colours = matplotlib.colormaps[COLOUR_MAP](np.clip(examples.maps[row, 0] / scale, 0, 1))  # (H, W, 4)
        shown["difference"] = np.rint(colours[..., :3] * 255).astype(np.uint8)
    return shown


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
            shown = [tiles(examples, row, scale) for row in rows_of(examples, kind, most)]
            axes.imshow(mosaic([list(column.values()) for column in shown], most), interpolation="nearest")
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


def _rgb(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 -> (H, W, 3)."""
    return np.repeat(image.transpose(1, 2, 0), 3, axis=2) if len(image) == 1 else image[:3].transpose(1, 2, 0)
