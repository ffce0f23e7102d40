"""Whether two AUROCs on the same test images differ by more than the choice of these images explains.

DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988. An AUROC is a mean over pairs of images, hence close to a sum of
one part per image, its influence. Sums of products of influences are the variances and covariances of that paper, to
the bit of rounding; and with influences, runs over several seeds whose test images overlap come for free (ours).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from semigan_pl.evaluation.intervals import ROUNDING, Difference


class Ranked(NamedTuple):
    """The AUROC of one run and what each of its test images adds to the error of it."""

    auroc: float
    indices: np.ndarray  # (n,) int64, ascending: which image
    labels: np.ndarray  # (n,) 1 = anomalous
    influence: np.ndarray  # (n,) their squares add up to DeLong's variance of the AUROC

    def same_images(self, other: Ranked) -> bool:
        """Whether both runs scored the same images, with the same truth."""
        return np.array_equal(self.indices, other.indices) and np.array_equal(self.labels, other.labels)


def ranked(indices: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Ranked | None:
    """All arguments (n,), in any order. None with fewer than two normal or two anomalous images: no variance then."""
    order = np.argsort(indices, kind="stable")
    indices, labels, scores = indices[order], labels[order], scores[order]
    anomalous = labels == 1
    n_anomalous, n_normal = int(anomalous.sum()), int((~anomalous).sum())
    if min(n_anomalous, n_normal) < 2:
        return None
    among_all = rankdata(scores)  # ties share their mean rank, so they count half below
    placement = np.empty(len(scores))
    # the share of normal images below an anomaly, and of anomalies above a normal image
    placement[anomalous] = (among_all[anomalous] - rankdata(scores[anomalous])) / n_normal
    placement[~anomalous] = 1 - (among_all[~anomalous] - rankdata(scores[~anomalous])) / n_anomalous
    auroc = float(placement[anomalous].mean())
    n_own = np.where(anomalous, n_anomalous, n_normal)
    return Ranked(auroc, indices, labels, (placement - auroc) / np.sqrt(n_own * (n_own - 1.0)))


def paired_delong(first: Sequence[Ranked], second: Sequence[Ranked], level: float) -> Difference | None:
    """Mean AUROC of first - second over runs in pairs, with DeLong's test: for these trainings, over other test images.

    One pair is DeLong's own test. With several (seeds), an image that several runs scored adds up over them before it
    is squared, since what it adds to their errors goes together (ours).

    Args:
        first: one or more runs.
        second: as many; the two of a pair have to have scored the same images, different pairs need not.
        level: of confidence.

    Returns:
        None where the images of a pair differ; n counts the distinct images.
    """
    pairs = list(zip(first, second, strict=True))
    if not pairs or not all(one.same_images(other) for one, other in pairs):
        return None
    mean = sum(one.auroc - other.auroc for one, other in pairs) / len(pairs)
    images, place = np.unique(np.concatenate([one.indices for one, _ in pairs]), return_inverse=True)
    parts = np.concatenate([one.influence - other.influence for one, other in pairs]) / len(pairs)
    error = float(np.linalg.norm(np.bincount(place, parts)))
    half = float(ndtri(0.5 + level / 2)) * error
    if error <= ROUNDING:  # both rank all images alike, or one perfectly and one in reverse: no spread to judge by
        return Difference(mean, None, None, 1.0 if abs(mean) <= ROUNDING else None, len(images))
    p = 2 * float(ndtr(-abs(mean) / error))
    return Difference(mean, mean - half, mean + half, p, len(images)) if math.isfinite(error) else None
