"""How sure a mean over few trainings is, and whether two settings differ: Student's t over seeds, Holm over tests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtr, stdtrit  # Student's t distribution and its inverse, many times as fast as scipy.stats

ROUNDING = 1e-12  # what rounding may leave of a difference of two equal numbers up to 1


class Estimate(NamedTuple):
    """A mean with its spread."""

    mean: float
    deviation: float | None  # of the sample; None where one value gives none
    low: float | None  # ends of the confidence interval of the mean
    high: float | None
    n: int


class Difference(NamedTuple):
    """A difference of two means, and what a two-sided test says of it. None where there is too little to test."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int  # pairs of runs, or images


def t_interval(values: Sequence[float], level: float) -> Estimate:
    """Mean of at least one value with the interval mean ± t * deviation / sqrt(n), n - 1 degrees of freedom.

    Args:
        level: of confidence, 0.95 for instance.
    """
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return Estimate(mean, None, None, None, n)
    deviation = statistics.stdev(values)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * deviation / math.sqrt(n)
    return Estimate(mean, deviation, mean - half, mean + half, n)


def paired_t(first: Sequence[float], second: Sequence[float], level: float) -> Difference:
    """Mean of first - second, value by value (same seed), with Student's paired t test.

    Pairs, since a seed also settles the split: what makes one seed's images hard is common to both and cancels.
    Differences without any spread give no interval, and p only where they are 0: a metric of few test images takes few
    values, and that two of them differ alike says nothing of how seeds differ.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    mean, deviation, low, high, n = t_interval(differences, level)
    if deviation is None:
        return Difference(mean, None, None, None, n)
    if deviation <= ROUNDING:
        return Difference(mean, None, None, 1.0 if abs(mean) <= ROUNDING else None, n)
    p = 2 * float(stdtr(n - 1, -abs(mean) * math.sqrt(n) / deviation))
    return Difference(mean, low, high, p, n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values adjusted for how many there are (Holm, Scandinavian Journal of Statistics 6, 1979); None stays None.

    The chance of one false finding or more among all of them stays below the level that they are held against.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted, largest = list[float | None](p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = largest
    return adjusted
