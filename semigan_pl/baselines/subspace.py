"""Subspaces of the space of points: the one that the points span, its reduction, its dimension, distances from it."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.baselines.base import Baseline, Points
from semigan_pl.checks import is_number, shown, whole


class SubspaceBaseline(Baseline):
    """A baseline whose fit is a subspace: a new point has its distance from it as score.

    What a new point has outside of the span of all fitted points is outside of every subspace that they can have, and
    so it is part of the distance (ours: the papers score no new points).

    Attributes:
        directions: what `residuals` takes, (D, k).
    """

    fitted = ("directions",)
    directions: Points

    def _score(self, points: Points) -> Points:
        return residuals(points, self.directions)


def residuals(points: Points, directions: Points) -> Points:
    """||x - A A^T x|| of every point x (N, D), (N,): for orthonormal directions A (D, k), the distance from their span.

    k may be 0; then it is the length of x.
    """
    return np.linalg.norm(points - (points @ directions) @ directions.T, axis=1)


class ColumnSpace(NamedTuple):
    """Points in coordinates of the space that they span; of r dimensions, their numerical rank.

    Lossless for whatever depends on inner products alone: REAPER's distances agree to 2e-15 (MEASURED).
    """

    basis: Points  # (D, r), orthonormal: the principal axes of the points, not centred
    singular_values: Points  # (r,), falling
    coordinates: Points  # (N, r): points @ basis


def column_space(points: Points) -> ColumnSpace:
    """The space that points (N, D) span, by a singular value decomposition; the rank is that of numpy's matrix_rank.

    In O(N D min(N, D)). Raises ValueError where all points are zero.
    """
    # R of a QR decomposition has the singular values and right vectors of the points, and D rows instead of N.
    factor = np.linalg.qr(points, mode="r") if len(points) > points.shape[1] else points
    _, values, axes = np.linalg.svd(factor, full_matrices=False)
    rank = int((values > values[0] * max(points.shape) * np.finfo(np.float64).eps).sum())
    if not rank:
        raise ValueError("all features are zero: there is nothing to fit, use another network or its weights")
    basis = axes[:rank].T
    return ColumnSpace(basis, values[:rank], points @ basis)


def check_dimension(option: str, dimension: Any) -> int | float | None:
    """A subspace's dimension as it is typed, see `chosen_dimension`. Raises ValueError for anything else."""
    if dimension is None or (is_number(dimension) and 0 < dimension < 1):
        return dimension  # type: ignore[no-any-return]
    try:
        return whole(option, dimension, least=1)
    except ValueError:
        raise ValueError(
            f"{option}={shown(dimension)} must be a whole number, 1 or more, or a share of the energy in (0, 1), or "
            "null, which counts the eigenvalues above their mean"
        ) from None


def chosen_dimension(dimension: int | float | None, singular_values: Points) -> int:
    """The dimension d of the inliers' subspace, without labels; at most r, the rank of the points.

    Args:
        dimension: d itself; a share in (0, 1): the smallest d whose eigenvalues hold that share of the energy; None:
            `eigenvalues_above_mean` (ours; no paper says how).
        singular_values: of the points, (r,), falling. Their squares are the eigenvalues of N times the second-moment
            matrix in the column space.
    """
    rank = len(singular_values)
    if dimension is None:
        found = eigenvalues_above_mean(singular_values)
    elif dimension < 1:
        energy = singular_values**2
        found = int(np.searchsorted(np.cumsum(energy) / energy.sum(), dimension)) + 1
    else:
        found = int(dimension)
    if found >= rank:
        warnings.warn(
            f"all points lie in a space of {rank} dimensions, and a subspace of {found} leaves nothing over: every "
            "point that was fitted has a score of 0; use a smaller model.baseline.dimension, or more points",
            stacklevel=2,
        )
    return min(found, rank)


def eigenvalues_above_mean(singular_values: Points) -> int:
    """The rule of Kaiser and Guttman, here of second moments: 1 or more.

    It finds the dimension of inliers that spread evenly over few of the dimensions; of others, a smaller one.
    """
    energy = singular_values**2
    return max(1, int((energy > energy.mean()).sum()))


def complement(directions: NDArray[Any]) -> Points:
    """An orthonormal basis (D, D - k) of all that is orthogonal to linearly independent directions (D, k)."""
    return np.linalg.qr(directions, mode="complete")[0][:, directions.shape[1] :]
