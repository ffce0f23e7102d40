"""How synthetic surfaces are drawn: textures, light and defects, each from its own stream of chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]  # (H, W)
LEAST_PIXELS = 4  # of a defect


# --- textures: zero mean, unit standard deviation ---------------------------------------------------------------------


def _brushed(rng: np.random.Generator, size: int) -> Field:
    """Long and short streaks in a nearly horizontal direction, of all widths down to a pixel."""
    along, across = _turned(*_waves(size), rng.normal(0, 0.02))
    streaks = (1 + (across / 10) ** 2) ** -0.25
    long = (1 + (along * rng.uniform(0.25, 0.5)) ** 2) ** -0.75
    short = (1 + (along * 0.03) ** 2) ** -1
    field = _gaussian_field(rng, streaks * (long + 0.12 * short), size)
    return _standardised(field + 0.08 * field * np.abs(field))  # some streaks stand out


def _cast(rng: np.random.Generator, size: int) -> Field:
    """Rounded grains of many sizes, lit from one side; hollows are darker."""
    u, v = _waves(size)
    frequency = (u * u + v * v) / rng.uniform(16, 26) ** 2  # of the largest grains: so many cycles per side
    height = _gaussian_field(rng, frequency / (1 + frequency) ** 2.1, size)
    height = height + 0.25 * height * np.abs(height)
    mottled = _gaussian_field(rng, 1 / (1 + 10 * frequency), size)
    relief = _standardised(_slope(height, rng.uniform(0, 2 * math.pi)))
    return _standardised(relief + 0.5 * height + 0.4 * mottled)


TEXTURES: dict[str, Callable[[np.random.Generator, int], Field]] = {"brushed": _brushed, "cast": _cast}


def light(rng: np.random.Generator, size: int) -> Field:
    """A slight gradient and a slight darkening towards the corners, (H, W) around 1."""
    x, y = (distance / size for distance in _around(rng, size, size, size))  # from the middle
    slope_x, slope_y, darkening = rng.normal(0, 0.04), rng.normal(0, 0.04), rng.uniform(0, 0.12)
    return 1 + slope_x * x + slope_y * y - darkening * (x * x + y * y)


def _gaussian_field(rng: np.random.Generator, amplitude: Field, size: int) -> Field:
    """Gaussian noise with this spectrum (of `rfft2`), standardised."""
    real, imaginary = rng.standard_normal((2, *amplitude.shape))
    return _standardised(np.fft.irfft2(amplitude * (real + 1j * imaginary), s=(size, size)))


# --- defects: (covered share of every pixel, change of grey in [-1, 1]) -----------------------------------------------
# Each kind makes a field of closeness to its middle, in pixels; the defect is the `area` closest pixels.


def _scratch(rng: np.random.Generator, size: int, area: float) -> tuple[Field, Field]:
    """A slightly bent groove, thinner towards its ends, or several about in parallel where one would be wide."""
    length = min(rng.uniform(0.3, 0.7) * size, area / 1.5)
    most = min(6, math.ceil(area / length / max(2.0, 0.006 * size)))
    count = int(rng.integers((most + 1) // 2, most + 1))
    width = area / length / count
    angle = rng.uniform(0, math.pi)
    x, y = _around(rng, size, length / 2 * abs(math.cos(angle)), length / 2 * abs(math.sin(angle)))
    closeness = np.full((size, size), -np.inf)
    for number in range(count):
        along, across = _turned(x, y, angle + rng.normal(0, 0.02))
        along = (along + rng.normal(0, 0.08) * length) / (length / 2)
        across = across + number * rng.normal(0, 2) * width - rng.normal(0, 0.05) * length * along**2
        ends = np.maximum(np.abs(along) - 0.6, 0) ** 2 * 3
        closeness = np.maximum(closeness, -np.abs(across) - width * (ends + 0.06 * np.sin(rng.uniform(9, 18) * along)))
    return _dented(rng, closeness, area, body=0.6)


def _spot(rng: np.random.Generator, size: int, area: float) -> tuple[Field, Field]:
    """One to three pits or blisters, nearly round."""
    count = min(int(rng.integers(1, 4)), 1 + int(area / 40))
    closeness = np.full((size, size), -np.inf)
    outline = _gaussian_field(rng, _smooth(size, math.sqrt(area / count / math.pi)), size)
    for part in rng.dirichlet(np.full(count, 4.0)):
        radius = math.sqrt(part * area / math.pi)
        closeness = np.maximum(closeness, radius - _distance(rng, size, radius, 0.2) + 0.12 * radius * outline)
    return _dented(rng, closeness, area, body=0.65)


def _stain(rng: np.random.Generator, size: int, area: float) -> tuple[Field, Field]:
    """A cloudy stain of ragged outline, strongest at its rim; the texture shows through."""
    radius = math.sqrt(area / math.pi)
    clouds = _gaussian_field(rng, _smooth(size, 0.4 * radius), size)
    closeness = 0.4 * radius * clouds - _distance(rng, size, radius, 0.4)
    inside = closeness - _level(closeness, area)
    cover = (inside / max(1.0, 0.15 * radius) + 0.5).clip(0, 1)
    rim = np.exp(-((inside / (0.15 * radius)) ** 2))
    return cover, cover * (0.6 + 0.25 * rim + 0.15 * np.tanh(clouds)) * rng.choice([-1, 1])


Draw = Callable[[np.random.Generator, int, float], tuple[Field, Field]]
DEFECTS: dict[str, Draw] = {"scratch": _scratch, "spot": _spot, "stain": _stain}


def _dented(rng: np.random.Generator, closeness: Field, area: float, body: float) -> tuple[Field, Field]:
    """A dent or a bulge: darker or brighter as a whole, most in the middle, and lit on one of its sides."""
    inside = closeness - _level(closeness, area)
    cover = (inside + 0.5).clip(0, 1)
    reach = max(inside.max(), 1.0)
    flatness = (1 - inside / reach).clip(0, 1) ** 2  # 0 in the middle, 1 from the edge on
    lit = (reach / 2 * _slope(flatness, rng.uniform(0, 2 * math.pi))).clip(-1, 1)
    change = body * rng.choice([-1, 1]) * (1 - 0.3 * flatness) + (1 - body) * lit
    return cover, cover * change


def _level(closeness: Field, area: float) -> float:
    """The closeness that `area` pixels reach."""
    rank = -max(LEAST_PIXELS, round(area))
    return float(np.partition(closeness, rank, axis=None)[rank])


def _distance(rng: np.random.Generator, size: int, radius: float, elongation: float) -> Field:
    """Distance from a point that lies `radius` or more from the border, longer in one direction than across it."""
    x, y = _around(rng, size, 1.5 * radius, 1.5 * radius)
    along, across = _turned(x, y, rng.uniform(0, math.pi))
    stretch = math.exp(rng.uniform(0, elongation))
    return np.hypot(along / stretch, across * stretch)


def _smooth(size: int, scale: float) -> Field:
    """Spectrum of noise that changes over this many pixels, with some finer detail."""
    u, v = _waves(size)
    return (1 + (u * u + v * v) * (2 * scale / size) ** 2) ** -2


# --- geometry ---------------------------------------------------------------------------------------------------------


def _waves(size: int) -> tuple[Field, Field]:
    """Horizontal (1, W // 2 + 1) and vertical (H, 1) frequency of the terms of `rfft2`, cycles per side."""
    steps = np.arange(size, dtype=np.float64)
    return steps[None, : size // 2 + 1], (steps[:, None] + size // 2) % size - size // 2


def _around(rng: np.random.Generator, size: int, margin_x: float, margin_y: float) -> tuple[Field, Field]:
    """Horizontal (1, W) and vertical (H, 1) pixels from a point drawn within margins."""
    x, y = (rng.uniform(-1, 1) * max(0.48 * size - margin, 0) for margin in (margin_x, margin_y))
    grid = np.arange(size, dtype=np.float64) + 0.5 - size / 2
    return grid[None, :] - x, grid[:, None] - y


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates along a direction and across it."""
    return math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x


def _slope(height: Field, angle: float) -> Field:
    """Rise per pixel in a direction; a texture goes on at the opposite border."""
    rise_y, rise_x = (np.roll(height, -1, axis) - np.roll(height, 1, axis) for axis in (0, 1))
    return _turned(rise_x, rise_y, angle)[0] / 2


def _standardised(field: Field) -> Field:
    return (field - float(field.mean())) / float(field.std())
