"""Points whose outliers are known: cases that every one of the baselines must master, drawn from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Labels = NDArray[np.int64]


class Case(NamedTuple):
    """Inliers on the unit spheres of random subspaces, the outliers on that of the whole space."""

    subspaces: int
    dimension: int  # of each subspace
    space: int
    inliers: int
    outliers: int
    noise: float = 0.0  # of every point: x + noise n / sqrt(space), n ~ N(0, I)


CASES = {
    "A": Case(1, 5, 50, 200, 100),
    "B": Case(3, 5, 50, 300, 100),
    "C": Case(3, 5, 50, 300, 300),
    "D": Case(3, 5, 50, 300, 300, noise=0.3),
    "E": Case(3, 5, 30, 300, 300),
    "hyperplane": Case(1, 9, 10, 200, 100),
}


def case(name: str, seed: int) -> tuple[Points, Labels]:
    """Points of unit length (N, D), inliers first, and their labels (N,): 1 for outliers."""
    kind, generator = CASES[name], np.random.default_rng(seed)
    bases = [np.linalg.qr(generator.standard_normal((kind.space, kind.dimension)))[0] for _ in range(kind.subspaces)]
    each = kind.inliers // kind.subspaces
    inliers = [_unit(generator.standard_normal((each, kind.dimension))) @ basis.T for basis in bases]
    outliers = _unit(generator.standard_normal((kind.outliers, kind.space)))
    points = np.concatenate([*inliers, outliers])
    if kind.noise:
        points = points + kind.noise * generator.standard_normal(points.shape) / np.sqrt(kind.space)
    return _unit(points), np.repeat([0, 1], [kind.inliers, kind.outliers])


def true_dimension(name: str) -> int:
    """Of the span of all inliers."""
    return CASES[name].subspaces * CASES[name].dimension


def feature_like(
    categories: int, inliers: int, outliers: int, width: int, seed: int, latents: int = 8
) -> tuple[Points, Labels]:
    """What a network's last ReLU returns: every category a curved sheet around a mean of its own, outliers with means
    of their own. (N, width) and labels (N,): 1 for outliers."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(categories):
        n = len(range(number, inliers, categories))
        mean, sheet = generator.standard_normal(width), generator.standard_normal((latents, width)) / np.sqrt(latents)
        parts.append(mean + 0.5 * generator.standard_normal((n, latents)) @ sheet)
    parts.append(1.1 * generator.standard_normal((outliers, width)))
    points = np.concatenate(parts)
    points = np.maximum(points + 0.2 * generator.standard_normal(points.shape), 0)
    return points, np.repeat([0, 1], [inliers, outliers])


def _unit(points: Points) -> Points:
    return points / np.linalg.norm(points, axis=1, keepdims=True)
