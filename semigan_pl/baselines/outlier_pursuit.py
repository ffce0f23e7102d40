"""Outlier pursuit: a matrix of low rank and one with few columns; the outliers are the columns of the latter."""

from __future__ import annotations

import numpy as np

from semigan_pl.baselines.base import Points
from semigan_pl.baselines.low_rank import LowRankBaseline, balanced_lambda
from semigan_pl.baselines.shrinkage import Shrunk, shrink_rows, shrink_singular_values
from semigan_pl.baselines.subspace import column_space


class OutlierPursuit(LowRankBaseline):
    """Outlier pursuit (Xu et al. 2012, MEMORY): min ||L||_* + lambda sum_j ||C_j|| such that X = L + C; scores ||C_j||.

    X has the points as columns here. Solved as LRR is, in the coordinates of the column space: O(N r^2) for each
    iteration.

    The paper's lambda, 3 / (7 sqrt(outliers)), is for few outliers. With a quarter or half of them L = 0 is the
    optimum, since lambda times the largest singular value of X is 1 or less then, and a warning says so; 0.2 to 0.3 are
    of use for some hundred points (ours), or the root of LRR's `balanced_lambda`: d dimensions of inliers add
    sqrt(d N / 2) to the nuclear norm of L, which is sqrt(2 d / N) for each.
    """

    def _fit(self, points: Points) -> None:
        space = column_space(points)
        balanced = np.sqrt(balanced_lambda(space.singular_values, len(points)))
        self.weight = float(balanced) if self.lambda_ is None else self.lambda_
        columns, low_rank = self._decomposed(space.coordinates)
        self.own_scores = np.linalg.norm(columns, axis=1)
        self.check_scores(points)
        self.axes, self.strengths = space.basis @ low_rank.axes, self.weight * low_rank.singular_values

    def _decomposed(self, points: Points) -> tuple[Points, Shrunk]:
        """C (N, r) and L (N, r) of points (N, r); transposed, as in LRR."""
        c, y = np.zeros_like(points), np.zeros_like(points)
        for mu in self.penalties():
            low_rank = shrink_singular_values(points - c + y / mu, 1 / mu)
            c = shrink_rows(points - low_rank.matrix + y / mu, self.weight / mu)
            violation = points - low_rank.matrix - c
            if np.abs(violation).max() < self.tolerance:
                break
            y += mu * violation
        return c, low_rank
