"""Example images as PNG files: pixels stay pixels (nearest neighbour), all difference maps share one scale."""

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave

from semigan_pl.report.run_files import Examples
from semigan_pl.report.style import Drawing, Theme

KINDS = {  # kind in examples.npz -> heading on the page
    "normal": "Normal images",
    "anomalous": "Anomalies",
    "false alarm": "False alarms: normal images called anomalous",
    "missed": "Misses: anomalies called normal",
}
COLOUR_MAP = "magma"  # its lightness rises evenly, so it reads the same without colour vision
SMALLEST_SIDE = 96  # px of a tile in the file


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 -> a PNG file, enlarged by a whole factor if it is small."""
    factor = -(-SMALLEST_SIDE // min(pixels.shape[:2]))
    enlarged = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(enlarged), format="png")
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
    scale = map_scale(examples)
    kinds = headings(examples)

    def draw(figure: Figure, theme: Theme) -> None:
        blocks = np.atleast_1d(np.array(figure.subfigures(len(kinds), 1), dtype=object))
        for block, kind in zip(blocks, kinds, strict=True):
            rows = rows_of(examples, kind, most)
            columns = [tiles(examples, row, scale) for row in rows]
            block.suptitle(kinds[kind], x=0.01, ha="left", fontsize=9.5, color=theme.ink)
            grid = block.subplots(len(columns[0]), most, squeeze=False)
            for cell in grid.flat:
                cell.set_axis_off()
            for column, shown in enumerate(columns):
                for line, pixels in enumerate(shown.values()):
                    grid[line, column].imshow(pixels, interpolation="nearest")
            for line, name in enumerate(columns[0]):
                place: dict[str, Any] = {"transform": grid[line, 0].transAxes, "ha": "right", "va": "center"}
                grid[line, 0].text(-0.1, 0.5, name, fontsize=7.5, color=theme.muted, **place)

    return draw


def _rgb(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 -> (H, W, 3)."""
    return np.repeat(image.transpose(1, 2, 0), 3, axis=2) if len(image) == 1 else image[:3].transpose(1, 2, 0)
