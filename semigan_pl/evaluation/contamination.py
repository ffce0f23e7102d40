"""How much of an unlabelled pool is anomalous, from the scores of the pool and of known anomalies alone.

Mixture proportion estimation: the pool is (1 - a) normal + a anomalous, known anomalies are a sample of the anomalous
part, a is sought. At every threshold c, with U(c) and K(c) the shares of the pool and of the known anomalies that score
c or more, U(c) = a K(c) + (1 - a) F(c) with F(c) >= 0 the share of normal images: U / K is never below a, and is a
where no normal image scores c. That is at high thresholds, where K is small and U / K very noisy. Best bin estimation
(Garg, Wu, Smola, Balakrishnan, Lipton, "Mixture Proportion Estimation and PU Learning: A Modern Approach", NeurIPS
2021; its formula from memory) takes U / K at the threshold whose uniform upper confidence bound is smallest.

Ours: the bound at each threshold is exact (Clopper and Pearson, Biometrika 26, 1934; one for U and one for K) in place
of a uniform one, whose width does not shrink with U: that keeps to low thresholds, where normal images are counted.
Thresholds are the scores of the known anomalies: between two of them K stays as it is and U only grows.

The error, for normally distributed scores of equal width (200 pools each; mean and deviation of the estimate, and the
mean of its upper bound, level 0.98):

    AUROC  pool  known   a = 0              a = 0.1            a = 0.3            plain best bin at 0, 0.1, 0.3
    0.99    650     50   .001 ± .002  .02   .098 ± .024  .17   .290 ± .044  .40   .020  .117  .302
    0.97    650     50   .004 ± .005  .03   .104 ± .032  .19   .293 ± .059  .44   .046  .140  .319
    0.97    650     10   .010 ± .013  .07   .109 ± .045  .28   .286 ± .094  .60   .064  .143  .305
    0.90    650     50   .022 ± .022  .11   .127 ± .058  .28   .323 ± .088  .53   .128  .214  .371
    0.90    650     10   .055 ± .058  .24   .157 ± .110  .46   .337 ± .155  .74   .164  .242  .375
    0.90   5000    500   .007 ± .006  .03   .108 ± .026  .17   .299 ± .051  .39   .078  .170  .353
    0.70    650     50   .315 ± .186  .64   .357 ± .177  .70   .547 ± .197  .85   .462  .498  .607

Trained on MNIST (digit 8, seed 0, gamma 0.5, 16 channels, 1,500 steps; pools of 585 to 731, 50 known held out) the
score `fused` gave, at true contaminations 0, 0.1 and 0.2 of all other digits, .004 (0 to .036), .112 (.073 to .181) and
.133 (.055 to .357), with AUROC .99, .94 and .84.

The upper bound, though the smallest of many, lay below the truth in at most 1 % of the pools of every row. The lower
one is not as safe, since overlap lifts it: at a = 0.1 and 0.3 it lay above the truth in 2 to 9 % of the pools of rows
1, 2 and 6, in 16 to 40 % of rows 3 to 5, in most of row 7; and at a = 0 wherever a normal image was counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv  # quantiles of the beta distribution, which exact bounds of a share are

from semigan_pl.checks import share
from semigan_pl.evaluation.metrics import auroc

MAJORITY = 0.5  # who calls a pool normal has said so much already


class Share(NamedTuple):
    """An estimated share with its bounds."""

    value: float
    low: float  # as far as no normal image scores above the threshold: overlap raises it as it raises the estimate
    high: float  # needs no such assumption

    @property
    def is_informative(self) -> bool:
        """Whether the upper bound says anything: not where known anomalies score like the pool, or are too few."""
        return self.high < MAJORITY


class Contamination(NamedTuple):
    """What the scores of one detector say of the contamination of a pool with known kinds of anomaly."""

    share: Share
    threshold: float  # what scores as much or more was counted
    auroc: float  # known anomalies against the pool
    n_pool: int
    n_known: int


def estimate_contamination(pool: np.ndarray, known: np.ndarray, level: float) -> Contamination:
    """The share of anomalies in a pool, rather too large than too small: see the table above.

    Normal images that score like anomalies are counted, and anomalies of unknown kinds only as far as they score as
    known ones do. Only the order of the scores matters.

    Args:
        pool: scores of unlabelled images that the detector was not trained on, (U,), higher = more anomalous.
        known: the same of known anomalies, (K,).
        level: of confidence, 0.98 for instance: U and K, whose bounds make those of the share, are bounded at
            (1 + level) / 2 each.

    Raises:
        ValueError: scores are missing or not finite, or the level is no share.
    """
    for whose, scores in (("unlabelled images", pool), ("known anomalies", known)):
        if not len(scores) or not np.isfinite(scores).all():
            raise ValueError(f"the contamination cannot be estimated: scores of {whose} are missing or not finite")
    tail = (1 - share("level", level, above_zero=True)) / 2
    thresholds = np.unique(known)[::-1]  # the strictest first
    n_pool, n_known = len(pool), len(known)
    in_pool, in_known = at_least(pool, thresholds), at_least(known, thresholds)
    highs = upper_bound(in_pool, n_pool, tail) / lower_bound(in_known, n_known, tail)
    lows = lower_bound(in_pool, n_pool, tail) / upper_bound(in_known, n_known, tail)
    ratios = (in_pool / n_pool) / (in_known / n_known)
    best = int(np.argmin(highs))
    value, low, high = (min(1.0, float(each[best])) for each in (ratios, lows, highs))
    area = auroc(np.repeat([0, 1], [n_pool, n_known]), np.concatenate([pool, known]))
    assert area is not None
    return Contamination(Share(value, low, high), float(thresholds[best]), area, n_pool, n_known)


def mean_share(shares: Sequence[Share]) -> Share:
    """One share for several seeds: means of estimates and of bounds (ours: the interval does not shrink, since seeds
    draw their validation images from the same data)."""
    return Share(*(float(np.mean(column)) for column in zip(*shares, strict=True)))


def at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many scores are a threshold or more, for each threshold, (T,)."""
    counts: np.ndarray = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
    return counts


def lower_bound(k: np.ndarray, n: int, tail: float) -> np.ndarray:
    """The largest p that gives k of n or more with a probability of at most `tail`, (T,); 0 where k is 0."""
    bounds: np.ndarray = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - np.maximum(k, 1) + 1.0, tail))
    return bounds


def upper_bound(k: np.ndarray, n: int, tail: float) -> np.ndarray:
    """The smallest p that gives k of n or fewer with a probability of at most `tail`, (T,); 1 where k is n."""
    return 1 - lower_bound(n - k, n, tail)
