"""Dual principal component pursuit: the normals of the inliers' subspace instead of its directions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import bmat, identity

from semigan_pl.baselines.base import Points
from semigan_pl.baselines.subspace import (
    SubspaceBaseline,
    check_dimension,
    chosen_dimension,
    column_space,
    complement,
)
from semigan_pl.checks import number, shown, whole

LEAST_DISTANCE = 1e-9  # whose inverse is a point's largest weight


class DPCP(SubspaceBaseline):
    """DPCP (Tsakiris & Vidal 2018; their code FOUND): min_B sum_j ||B^T x_j|| over B^T B = I, the c = r - d normals.

    After a lossless reduction to the space of r dimensions that the points span. Scores are ||B^T x||; what a new point
    has outside of that space counts as well, as if B had its normals, too (ours).

    Args:
        dimension: d, see `chosen_dimension`. The paper takes it as known.
        solver: "irls": iteratively reweighted least squares for all normals at once, O(N r^2 + r^3) for each iteration.
            "lp": linear programs with r + 2N variables for one normal, then for the next in what is orthogonal to it:
            for few points, and for a hyperplane, where the paper proves that it finds the normal.
        tolerance: stop when the sum falls by less than this share of it.
        iterations: at most, for each normal of "lp".

    Attributes:
        directions: (D, d): orthonormal, orthogonal to all normals.
    """

    def __init__(
        self, dimension: int | float | None, solver: Literal["irls", "lp"], tolerance: float, iterations: int
    ) -> None:
        if solver not in ("irls", "lp"):
            raise ValueError(f"model.baseline.solver={shown(solver)} must be irls or lp")
        self.dimension = check_dimension("model.baseline.dimension", dimension)
        self.solver = solver
        self.tolerance = number("model.baseline.tolerance", tolerance, least=0)
        self.iterations = whole("model.baseline.iterations", iterations, least=1)

    def _fit(self, points: Points) -> None:
        space = column_space(points)
        d = chosen_dimension(self.dimension, space.singular_values)
        count = len(space.singular_values) - d
        solve = self._by_least_squares if self.solver == "irls" else self._by_linear_programs
        normals = solve(space.coordinates, count) if count else np.empty((d, 0))
        self.own_scores = np.linalg.norm(space.coordinates @ normals, axis=1)
        self.directions = space.basis @ complement(normals)

    def _by_least_squares(self, points: Points, count: int) -> Points:
        """All normals (r, count) of points (N, r) at once: distances as weights of the next least squares."""

        def better(normals: Points) -> Points:
            weights = 1 / np.maximum(np.linalg.norm(points @ normals, axis=1), LEAST_DISTANCE)
            return least_normals(points, count, weights)

        return self._descended(points, least_normals(points, count), better)

    def _by_linear_programs(self, points: Points, count: int) -> Points:
        """Normals (r, count) of points (N, r), one after the other, each in the complement of those before it."""
        basis = np.eye(points.shape[1])  # of what is orthogonal to the normals that were found
        for _ in range(count):
            inside = points @ basis

            def better(normal: Points, inside: Points = inside) -> Points:
                found = least_sum(inside, normal[:, 0])[:, None]
                return found / np.linalg.norm(found)

            basis = basis @ complement(self._descended(inside, least_normals(inside, 1), better))
        return complement(basis)

    def _descended(self, points: Points, normals: Points, better: Callable[[Points], Points]) -> Points:
        """The best of the normals that follow one another, until the sum of ||B^T x|| does no longer fall."""
        before = np.linalg.norm(points @ normals, axis=1).sum()
        for _ in range(self.iterations):
            candidate = better(normals)
            total = np.linalg.norm(points @ candidate, axis=1).sum()
            fall = before - total
            if fall > 0:
                normals, before = candidate, total
            if fall <= self.tolerance * before:
                return normals
        warnings.warn(
            f"DPCP has not converged in model.baseline.iterations={self.iterations}: the last one lowered the sum of "
            f"distances, {before:.4g}, by {fall:.1g}; allow more, or a larger model.baseline.tolerance",
            stacklevel=2,
        )
        return normals


def least_normals(points: Points, count: int, weights: Points | None = None) -> Points:
    """B (r, count) of orthonormal columns with the least sum of w_j ||B^T x_j||^2 over points (N, r)."""
    weighted = points if weights is None else weights[:, None] * points
    return np.linalg.eigh(points.T @ weighted)[1][:, :count]


def least_sum(points: Points, normal: Points) -> Points:
    """argmin_b sum_j abs(x_j^T b) such that b^T n = 1, (r,), for points (N, r) and n (r,): a linear program.

    Its variables are b, p and q >= 0 with x_j^T b = p_j - q_j, so that p + q is what is summed.
    """
    n, r = points.shape
    costs = np.concatenate([np.zeros(r), np.ones(2 * n)])
    matrix = bmat([[points, -identity(n), identity(n)], [normal[None], None, None]], format="csr")
    bounds = [(None, None)] * r + [(0, None)] * (2 * n)
    found = linprog(costs, A_eq=matrix, b_eq=np.append(np.zeros(n), 1), bounds=bounds, method="highs")
    if found.x is None:
        raise RuntimeError(f"DPCP's linear program has no solution ({found.message}): use model.baseline.solver=irls")
    return found.x[:r]  # type: ignore[no-any-return]
