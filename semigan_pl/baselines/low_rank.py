"""What LRR and outlier pursuit share: constructor, penalties, warnings, and scores of new points."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from semigan_pl.baselines.base import Baseline, Points
from semigan_pl.baselines.shrinkage import regularised_residuals
from semigan_pl.baselines.subspace import eigenvalues_above_mean
from semigan_pl.checks import number, whole

FIRST_PENALTY, LAST_PENALTY = 1e-6, 1e10  # mu, as in the published code of LRR


class LowRankBaseline(Baseline):
    """Explains points by a part A T of low rank, and scores what is left over of each, by an augmented Lagrangian.

    A new point x is explained by the A that was fitted (ours; the papers score no new points): its score is ||x - A t||
    for the t that minimises ||t||^2 / 2 + lambda ||x - A t||. That is what the nuclear norm costs to first order for
    one point more, and the optimality condition of the points that were fitted, too: they get `own_scores` again. What
    a new point has outside of the span of the fitted ones is left over. The distance from the columns of A alone would
    be 0 for all points where noise gives A the full rank.

    Args:
        lambda_: weight of what is left over: too large a one leaves nothing, too small a one everything; both warn.
            None: by `balanced_lambda`, without labels.
        rho: factor of the penalty mu after each iteration.
        tolerance: of the largest violation of a constraint, at which to stop.
        iterations: at most.

    Attributes:
        weight: lambda as it was used for the fit.
        axes: left singular vectors of A, (D, k).
        strengths: lambda times the squares of its singular values, (k,).
    """

    fitted = ("axes", "strengths")
    weight: float
    axes: Points
    strengths: Points

    def __init__(self, lambda_: float | None, rho: float, tolerance: float, iterations: int) -> None:
        self.lambda_ = None if lambda_ is None else number("model.baseline.lambda_", lambda_, above=0)
        self.rho = number("model.baseline.rho", rho, above=1)
        self.tolerance = number("model.baseline.tolerance", tolerance, above=0)
        self.iterations = whole("model.baseline.iterations", iterations, least=1)

    def _score(self, points: Points) -> Points:
        return regularised_residuals(points, self.axes, self.strengths)

    def penalties(self) -> Iterator[float]:
        """mu of every iteration; after the last one, a warning says that there was no convergence."""
        mu = FIRST_PENALTY
        for _ in range(self.iterations):
            yield mu
            mu = min(self.rho * mu, LAST_PENALTY)
        self.warn(
            f"it has not converged in model.baseline.iterations={self.iterations}: allow more, or a larger "
            "model.baseline.tolerance"
        )

    def check_scores(self, points: Points) -> None:
        """Warns where lambda has left nothing over of points (N, D) of unit length, or everything."""
        option = f"model.baseline.lambda_={self.weight:.4g}"
        if self.own_scores.max() < 1e-6:
            self.warn(f"{option} explains every point, all scores are 0: use a smaller one")
        elif self.own_scores[points.any(1)].min() > 0.99:
            self.warn(f"{option} explains no point, all scores are 1: use a larger one")

    def warn(self, sentence: str) -> None:
        warnings.warn(f"{type(self).__name__}: {sentence}", stacklevel=2)


def balanced_lambda(singular_values: Points, count: int) -> float:
    """LRR's lambda without labels, ours: 2 sqrt(d r) / N.

    A subspace of d dimensions adds d to the nuclear norm of Z, however many points it explains. Of N / 2 inliers each
    costs 2 d / N, and lambda must be more; of as many outliers, which take all r dimensions, each costs 2 r / N, and
    lambda must be less. This is the geometric mean; d is the number of eigenvalues above their mean.

    Args:
        singular_values: of the points, (r,).
        count: N.
    """
    return float(2 * np.sqrt(eigenvalues_above_mean(singular_values) * len(singular_values)) / count)
