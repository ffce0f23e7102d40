"""Low-rank representation: every point by the others, jointly of low rank; outliers are left over."""

from __future__ import annotations

import numpy as np

from semigan_pl.baselines.base import Points
from semigan_pl.baselines.low_rank import LowRankBaseline, balanced_lambda
from semigan_pl.baselines.shrinkage import Shrunk, shrink_rows, shrink_singular_values
from semigan_pl.baselines.subspace import column_space


class LRR(LowRankBaseline):
    """LRR (Liu et al. 2013; code FOUND): min ||Z||_* + lambda sum_j ||E_j|| such that X = X Z + E; scores ||E_j||.

    X has the points as columns here. Solved by the inexact augmented Lagrangian method in the coordinates of the column
    space, with the dictionary X Q, Q = orth(X^T), so that Z has r rows instead of N: O(N r^2) for each iteration, about
    200 of them. With the right singular vectors of X as Q, the dictionary is diagonal.

    lambda decides everything, and has no published value for outliers. What is of use falls with N, see
    `balanced_lambda`: 0.05 to 0.1 for some hundred points.
    """

    def _fit(self, points: Points) -> None:
        space = column_space(points)
        balanced = balanced_lambda(space.singular_values, len(points))
        self.weight = balanced if self.lambda_ is None else self.lambda_
        errors, z = self._represented(space.coordinates, space.singular_values)
        self.own_scores = np.linalg.norm(errors, axis=1)
        self.check_scores(points)
        explained = space.singular_values[:, None] * z.axes * np.sqrt(z.singular_values)
        left, values, _ = np.linalg.svd(explained, full_matrices=False)
        self.axes, self.strengths = space.basis @ left, self.weight * values**2

    def _represented(self, points: Points, dictionary: Points) -> tuple[Points, Shrunk]:
        """E (N, r) and Z (N, r) of points (N, r) whose dictionary is diagonal, (r,).

        Everything is transposed: a point's column of Z, E and both multipliers is a row here.
        """
        z, e, y1, y2 = (np.zeros_like(points) for _ in range(4))
        for mu in self.penalties():
            j = shrink_singular_values(z + y2 / mu, 1 / mu)
            z = (dictionary * (points - e + y1 / mu) + j.matrix - y2 / mu) / (dictionary**2 + 1)
            remainder = points - z * dictionary
            e = shrink_rows(remainder + y1 / mu, self.weight / mu)
            first, second = remainder - e, z - j.matrix
            if max(np.abs(first).max(), np.abs(second).max()) < self.tolerance:
                break
            y1 += mu * first
            y2 += mu * second
        return e, j
