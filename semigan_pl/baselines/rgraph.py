"""R-graph (You et al. 2017): a random walk from every point to those that represent it ends among inliers."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from semigan_pl.baselines.base import Baseline, Points
from semigan_pl.baselines.elastic_net import ORTHOGONAL, representation, self_representation
from semigan_pl.checks import number, share, whole


class RGraph(Baseline):
    """Points represent each other; where walks from point to point spend little time, there are outliers.

    Every point is a sparse combination of the other ones (`elastic_net.self_representation`). Inliers need inliers
    only, outliers need both. A walk goes from a point j to a point i with the probability

        P_ji = |r_ij| / ||r_j||_1,    pi_0 = 1/N,    pi_{t+1} = pi_t P,    pi_bar = 1/T sum_{t=1..T} pi_t

    and the paper scores -pi_bar_j (FOUND in the authors' code SEO, as are lambda = 0.95, alpha = 10 and T = 1000). The
    average over time is needed: the walk may be periodic. Two changes (ours): scores are -N pi_bar_j, so that they do
    not depend on N and are -1 on average; and from a point that nothing represents (it is zero, or orthogonal to all
    others) the walk goes on to any point, all alike, where SEO lets the mass vanish.

    A new point x (ours) has no place in the walk, and its score is what its own representation by the fitted points
    costs, the minimum of the elastic net

        lambda ||r||_1 + (1 - lambda)/2 ||r||^2 + gamma/2 ||x - X r||^2,    gamma = alpha lambda / max_i |a_i^T x|

    which is low where a few points nearby do, and highest where nothing represents it. It is on another scale than
    `own_scores`; nothing compares the two. (Tried: where x would go says nothing, since outliers go to inliers, too;
    who would go to x, to first order, is upside down, for whoever is near to x already has others like it.)

    Args:
        alpha: how closely points are represented, above 1; 5 to 10 where features are noisy: with more, outliers
            represent the noise of inliers, and the order may turn round (measured on synthetic points).
        lambda_: share of the l1 norm among both penalties, in (0, 1); more makes representations sparser.
        steps: of the walk, T.
    """

    fitted = ("points",)
    points: Points

    def __init__(self, alpha: float, lambda_: float, steps: int) -> None:
        self.alpha = number("model.baseline.alpha", alpha, above=1)
        self.lambda_ = share("model.baseline.lambda_", lambda_, above_zero=True)
        self.steps = whole("model.baseline.steps", steps, least=1)

    @property
    def pi_bar(self) -> Points:
        """How much of its time the walk spends at each fitted point, (N,); its sum is 1."""
        return -self.own_scores / len(self.own_scores)

    def _fit(self, points: Points) -> None:
        self.points = points
        coefficients = self_representation(points, self.alpha, self.lambda_)
        self.own_scores = -len(points) * time_spent(coefficients, self.steps)

    def _score(self, points: Points) -> Points:
        return np.array([self._cost(point) for point in points])

    def _cost(self, point: Points) -> float:
        """The least objective of a point (D,); of a zero vector as of what is orthogonal to all fitted points."""
        gamma = self.alpha * self.lambda_ / max(np.abs(self.points @ point).max(), ORTHOGONAL)
        if not point.any():
            return float(gamma / 2)
        r = representation(self.points, point, self.alpha, self.lambda_)
        error = point - r.data @ self.points[r.indices]
        norms = self.lambda_ * np.abs(r.data).sum() + (1 - self.lambda_) / 2 * r.data @ r.data
        return float(norms + gamma / 2 * error @ error)


def time_spent(coefficients: csr_matrix, steps: int) -> Points:
    """pi_bar (N,) of a walk of so many steps that begins anywhere, given r of point j in row j, (N, N)."""
    n = coefficients.shape[0]
    sizes = np.asarray(abs(coefficients).sum(1)).ravel()
    lost = sizes == 0
    inverse = np.divide(1, sizes, out=np.zeros(n), where=~lost)
    arrivals = abs(coefficients).T.tocsr()
    pi, total = np.full(n, 1 / n), np.zeros(n)
    for _ in range(steps):
        pi = arrivals @ (pi * inverse) + pi[lost].sum() / n
        total += pi
    return total / steps
