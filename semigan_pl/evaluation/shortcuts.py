"""Shortcuts: a trivial number that alone tells two groups of images apart; a detector then need not find the defect."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from semigan_pl.evaluation.metrics import auroc

LIMIT = 0.9  # AUROC from which on a single number counts as a shortcut
DEVIATIONS = 4.0  # of chance: of two dozen comparisons without a cue, one check in 600 would be flagged


class Separation(NamedTuple):
    """How well one number tells a second group of images from a first."""

    auroc: float  # chance that an image of the second group has the larger value; 0.5 is none
    n_first: int
    n_second: int

    @property
    def strength(self) -> float:
        """The AUROC in whichever direction separates, 0.5 to 1."""
        return max(self.auroc, 1 - self.auroc)

    @property
    def is_shortcut(self) -> bool:
        """Whether the number separates well, and not by chance.

        Chance is judged by the normal approximation of Mann and Whitney's test. An interval about the measured AUROC
        (Hanley and McNeil) has no width where the separation is perfect, which is the very case to be judged, and
        would flag one image against one.
        """
        chance = chance_deviation(self.n_first, self.n_second)
        return self.strength > LIMIT and self.strength - 0.5 >= DEVIATIONS * chance


def chance_deviation(n_first: int, n_second: int) -> float:
    """Standard deviation of the AUROC of a number without a cue; less where values are tied.

    (Mann and Whitney, Annals of Mathematical Statistics 18, 1947.)
    """
    return math.sqrt((n_first + n_second + 1) / (12 * n_first * n_second))


def separation(first: np.ndarray, second: np.ndarray) -> Separation | None:
    """How well a number tells two groups apart. first: (n,), second: (m,) values; None where one group is empty."""
    labels = np.repeat([0, 1], [len(first), len(second)])
    area = auroc(labels, np.concatenate([first, second]))
    return None if area is None else Separation(area, len(first), len(second))
