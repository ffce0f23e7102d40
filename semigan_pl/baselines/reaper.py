"""REAPER: the relaxed projector with the least sum of distances."""

from __future__ import annotations

import warnings

import numpy as np

from semigan_pl.baselines.base import Points
from semigan_pl.baselines.subspace import (
    SubspaceBaseline,
    check_dimension,
    chosen_dimension,
    column_space,
    residuals,
)
from semigan_pl.checks import number, whole

LEAST_DISTANCE = 1e-10  # whose inverse is a point's largest weight


class REAPER(SubspaceBaseline):
    """REAPER (Lerman et al. 2015; two codes FOUND): min_P sum_j ||x_j - P x_j|| over 0 <= P <= I with trace d.

    By iteratively reweighted least squares: O(N r^2 + r^3) for each iteration, r the rank of the points, after a
    lossless reduction to the space that they span. Scores are ||x - P x||, for new points as well (ours).

    Args:
        dimension: d, see `chosen_dimension`. The paper takes it as known.
        tolerance: stop when the sum of distances falls by less than this share of it (the codes: 1e-15, of the sum
            itself; ours is relative, so that it means the same for every N).
        iterations: at most.

    Attributes:
        directions: (D, k): A of P = A A^T; the eigenvectors of P, each times the root of its eigenvalue.
    """

    def __init__(self, dimension: int | float | None, tolerance: float, iterations: int) -> None:
        self.dimension = check_dimension("model.baseline.dimension", dimension)
        self.tolerance = number("model.baseline.tolerance", tolerance, least=0)
        self.iterations = whole("model.baseline.iterations", iterations, least=1)

    def _fit(self, points: Points) -> None:
        space = column_space(points)
        d = chosen_dimension(self.dimension, space.singular_values)
        directions, self.own_scores = self._reweighted(space.coordinates, d)
        self.directions = space.basis @ directions

    def _reweighted(self, points: Points, d: int) -> tuple[Points, Points]:
        """A of the best P = A A^T that was found, (r, k), and the distances ||x - P x||, (N,)."""
        weights, before = np.ones(len(points)), np.inf
        for _ in range(self.iterations):
            values, vectors = np.linalg.eigh(points.T @ (weights[:, None] * points))
            shares = projector_spectrum(values[::-1], d)
            directions = (vectors[:, ::-1] * np.sqrt(shares))[:, shares > 0]
            distances = residuals(points, directions)
            fall, before = before - distances.sum(), distances.sum()
            if fall <= self.tolerance * before:
                return directions, distances
            weights = 1 / np.maximum(distances, LEAST_DISTANCE)
        warnings.warn(
            f"REAPER has not converged in model.baseline.iterations={self.iterations}: the last one lowered the sum of "
            f"distances, {before:.4g}, by {fall:.1g}; allow more, or a larger model.baseline.tolerance",
            stacklevel=2,
        )
        return directions, distances


def projector_spectrum(eigenvalues: Points, d: int) -> Points:
    """Eigenvalues nu of the P that is best for weighted squares: in [0, 1], with the sum d (both codes, FOUND).

    nu_i = max(1 - theta / lambda_i, 0), and theta = (i - d) / sum_{k <= i} 1 / lambda_k for the first i > d at which it
    is not below lambda_{i+1}.

    Args:
        eigenvalues: lambda of the weighted second-moment matrix, (r,), falling.
        d: at most r.
    """
    negligible = np.finfo(np.float64).eps * eigenvalues[0]
    values = np.where(eigenvalues > negligible, eigenvalues, 0)  # the rest is rounding, and may be negative
    if d == len(values) or values[d] == 0:
        return (np.arange(len(values)) < d).astype(np.float64)
    with np.errstate(divide="ignore"):  # at the zeros: infinite sums, theta = 0, nu = 0
        inverse = 1 / values
    thetas = np.arange(1, len(values) - d + 1) / np.cumsum(inverse)[d:]
    theta = thetas[np.argmax(thetas >= np.append(values[d + 1 :], 0))]
    return np.maximum(1 - theta * inverse, 0)
