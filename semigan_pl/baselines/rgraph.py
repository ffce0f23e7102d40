"""R-graph (You et al. 2017): a random walk from every point to those that represent it ends among inliers."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from semigan_pl.baselines.base import Baseline, Points
from semigan_pl.baselines.elastic_net import BLOCK, ORTHOGONAL, largest_products, self_representation
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

    A new point x (ours) scores as if it were added to the graph, to first order: what counts is which fitted points
    would go to it, as an outlier is a point that few go to. With the residual e_j = x_j - X r_j, point j would give it

        w_j = max(|x^T e_j| - mu_j, 0) / (1 + rho_j),    mu_j = lambda / gamma_j,    rho_j = mu_j (1 - lambda) / lambda

    which is a step of coordinate descent from r_j, and would go there with the probability w_j / (||r_j||_1 + w_j); the
    score is -N times the sum of pi_bar_j times that. What nobody would go to scores 0, the highest there is. (Where x
    itself would go says less: fitted to inliers alone, every point goes to inliers.)

    Args:
        alpha: how closely points are represented, above 1; 5 to 10 where features are noisy: with more, outliers
            represent the noise of inliers, and the order may turn round (measured on synthetic points).
        lambda_: share of the l1 norm among both penalties, in (0, 1); more makes representations sparser.
        steps: of the walk, T.
    """

    fitted = ("residuals", "thresholds", "sizes", "own_scores")
    residuals: Points  # e_j, (N, D)
    thresholds: Points  # mu_j, (N,)
    sizes: Points  # ||r_j||_1, (N,)

    def __init__(self, alpha: float, lambda_: float, steps: int) -> None:
        self.alpha = number("model.baseline.alpha", alpha, above=1)
        self.lambda_ = share("model.baseline.lambda_", lambda_, above_zero=True)
        self.steps = whole("model.baseline.steps", steps, least=1)

    @property
    def pi_bar(self) -> Points:
        """How much of its time the walk spends at each fitted point, (N,); its sum is 1."""
        return -self.own_scores / len(self.own_scores)

    def _fit(self, points: Points) -> None:
        r = self_representation(points, self.alpha, self.lambda_)
        self.own_scores = -len(points) * time_spent(r, self.steps)
        self.residuals = points - r @ points
        self.thresholds = np.maximum(largest_products(points) / self.alpha, ORTHOGONAL)
        self.sizes = np.asarray(abs(r).sum(1)).ravel()

    def _score(self, points: Points) -> Points:
        blocks = [points[start : start + BLOCK] for start in range(0, len(points), BLOCK)]
        return np.concatenate([np.empty(0), *map(self._score_block, blocks)])

    def _score_block(self, points: Points) -> Points:
        rho = self.thresholds * (1 - self.lambda_) / self.lambda_
        given = np.maximum(np.abs(points @ self.residuals.T) - self.thresholds, 0) / (1 + rho)  # (M, N)
        chances = np.divide(given, self.sizes + given, out=np.zeros_like(given), where=given > 0)
        return chances @ self.own_scores


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
