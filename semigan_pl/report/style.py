"""The look of all figures: one drawing, rendered on the light page and on the dark one."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.6, 3.4  # inches; small, so that 9 pt remain readable when a phone shows the figure at full width


@dataclass(frozen=True)
class Theme:
    """Colours of one page. Normal, anomalous and the other terms are from Okabe and Ito's palette."""

    paper: str
    ink: str
    muted: str
    rule: str
    normal: str
    anomalous: str
    others: tuple[str, ...]


# page.css states paper, ink, muted and rule again: the figures have no frame, so they must melt into the page.
LIGHT = Theme(
    paper="#ffffff",
    ink="#1c1d1f",
    muted="#5f646b",
    rule="#d8dade",
    normal="#0072b2",
    anomalous="#d55e00",
    others=("#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
)
DARK = Theme(
    paper="#15171b",
    ink="#e8e6e1",
    muted="#9ca2aa",
    rule="#343941",
    normal="#56b4e9",
    anomalous="#e69f00",
    others=("#2fc79a", "#e29ac0", "#f0e442", "#ee7733"),
)
# A second way to tell lines apart, for eyes that see no colour.
LINE_STYLES: tuple[Any, ...] = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

Drawing = Callable[[Figure, Theme], None]


def render(drawing: Drawing, theme: Theme, height: float = HEIGHT, width: float = WIDTH) -> bytes:
    """The drawing as a PNG file."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_settings(theme)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # class names may be in any script; a box is drawn instead
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        drawing(figure, theme)
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def plain(text: str, length: int = 24) -> str:
    """Text that matplotlib draws as it stands: `$` would start a formula, and a long name would push the axes away."""
    text = " ".join(text.split()) or "(no name)"
    shortened = text if len(text) <= length else text[: length - 1] + "…"
    return shortened.replace("$", r"\$")


def _settings(theme: Theme) -> dict[Any, Any]:
    return {
        "font.size": 9.5,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titlecolor": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.muted,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": theme.paper,
        "axes.prop_cycle": cycler(color=[theme.normal, theme.anomalous, *theme.others]),
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.handlelength": 2.4,
        "hatch.linewidth": 0.6,
        "lines.linewidth": 1.6,
    }
