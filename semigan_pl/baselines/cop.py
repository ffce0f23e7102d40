"""Coherence pursuit: inliers resemble many other points, outliers none."""

from __future__ import annotations

from typing import Literal

import numpy as np

from semigan_pl.baselines.base import Baseline, Points
from semigan_pl.checks import shown

BLOCK = 256  # fitted points at once: N times as many inner products are in memory, 40 MB for 20,000


class CoP(Baseline):
    """CoP (Rahmani & Atia 2017; their code FOUND): minus the coherence of a point with all others.

    The paper sums (x_i^T x_j)^2, or abs(x_i^T x_j), over the points i != j; ours is the mean instead, so that scores do
    not depend on N. A new point is compared with all points that were fitted (ours). A zero vector is coherent with
    nothing: its score is 0, the highest that there is.

    In O(N D min(N, D)) for power 2, which needs the second-moment matrix alone, and O(N^2 D) for power 1.

    Args:
        power: of the coherence: 2, as the paper prefers, or 1.
    """

    fitted = ("reference", "count")
    reference: Points  # (K, D), K = min(N, D) for power 2 and N for power 1
    count: int  # N

    def __init__(self, power: Literal[1, 2]) -> None:
        if isinstance(power, bool) or power not in (1, 2):
            raise ValueError(f"model.baseline.power={shown(power)} must be 1 or 2: the power of the coherence")
        self.power = power

    def _fit(self, points: Points) -> None:
        self.count = len(points)
        self.reference = np.asarray(np.linalg.qr(points, mode="r")) if self.power == 2 else points
        with_itself = np.linalg.norm(points, axis=1) ** (2 * self.power)
        self.own_scores = (with_itself - coherence(points, self.reference, self.power)) / (self.count - 1)

    def _score(self, points: Points) -> Points:
        return -coherence(points, self.reference, self.power) / self.count


def coherence(points: Points, reference: Points, power: int) -> Points:
    """Sums of abs(x^T y)^power over all rows y (K, D) of the reference, for every point x (N, D), (N,).

    For power 2, R of a QR decomposition does for the rows that it comes from: R^T R is the same sum of y y^T.
    """
    sums = np.zeros(len(points))
    for start in range(0, len(reference), BLOCK):
        products = np.abs(points @ reference[start : start + BLOCK].T)
        sums += (products**power).sum(1)
    return sums
