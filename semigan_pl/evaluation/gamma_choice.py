"""Which gammas are worth trying under a given contamination, and which of them to take.

In theory (contamination e of known kinds, optimal players) gamma = 1 - e is the largest that leaves no anomaly in what
the generator learns. Below it is a plateau: a smaller gamma changes nothing where known anomalies and normal images do
not overlap, and takes away too much of the normal ones where they do. Hence gamma is looked for at and below 1 - e, and
of equals the largest is the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from semigan_pl.evaluation.contamination import Share

REFERENCE = 1.0  # ignores known anomalies


class Measured(NamedTuple):
    """What validation says of a gamma."""

    mean: float  # of the objective over the seeds
    error: float  # standard error of it


class Choice(NamedTuple):
    """The gamma to take."""

    gamma: float
    best: float  # the gamma with the largest mean
    tolerance: float  # one standard error of that mean
    reason: str
    is_smallest: bool  # of those that were compared: a smaller one might be better still


def ceiling(contamination: Share) -> float:
    """The largest gamma that removes the contamination; 1 where nothing is known about it."""
    return 1 - contamination.value if contamination.is_informative else REFERENCE


def proposed_gammas(contamination: Share, pilot: float, fractions: Sequence[float], apart: float) -> list[float]:
    """Gammas to try, descending: 1, 1 - estimate, 1 - its upper bound, `fractions` of 1 - estimate, and the pilot's.

    The bound, since too large a gamma leaves contamination while one that is too small costs little. All are rounded
    down to two decimals.

    Args:
        pilot: gamma that is trained already.
        fractions: in (0, 1).
        apart: of two at or below 1 - estimate that are no further apart the first is taken, the pilot's before all.
    """
    most = ceiling(contamination)
    bound = 1 - contamination.high if contamination.is_informative else most
    kept = [pilot]
    for gamma in (most, bound, *(fraction * most for fraction in fractions)):
        gamma = math.floor(gamma * 100 + 1e-6) / 100
        if gamma > 0 and all(abs(gamma - other) > apart + 1e-9 for other in kept if other <= most):
            kept.append(gamma)
    return sorted({REFERENCE, *kept}, reverse=True)


def choose(measured: Mapping[float, Measured], contamination: Share) -> Choice:
    """The largest gamma at or below 1 - estimate that is within one standard error of the best of all.

    One standard error, since among equals the largest of a few noisy means is an accident (Breiman, Friedman, Olshen,
    Stone, "Classification and Regression Trees", 1984, choose the simplest tree so). Where only larger gammas come as
    near, validation contradicts the estimate, and is believed.
    """
    best = max(measured, key=lambda gamma: (measured[gamma].mean, gamma))
    least, most = measured[best].mean - measured[best].error, ceiling(contamination)
    near = [gamma for gamma in measured if measured[gamma].mean >= least]
    below = [gamma for gamma in near if gamma <= most]
    where = f"at or below 1 - {contamination.value:.3f}" if contamination.is_informative else "that was tried"
    if not below:
        reason = f"the best on validation, though above 1 - {contamination.value:.3f}: none below comes near"
    elif max(below) == best:
        reason = f"the best on validation, and the largest {where} that comes within one standard error"
    else:
        reason = f"the largest {where} within one standard error of the best, gamma {best:g}"
    gamma = max(below) if below else best
    return Choice(gamma, best, measured[best].error, reason, gamma == min(measured) and len(measured) > 1)
