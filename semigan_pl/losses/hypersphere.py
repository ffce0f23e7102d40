"""Hyperspheres around normal images (Ruff et al. 2018, 2020): distances of representations from a fixed center."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distance(representations: Tensor, center: Tensor) -> Tensor:
    """||phi(x) - c||^2 of representations (N, D) from a center (D,), in float32. -> (N,)."""
    return (representations.float() - center).square().sum(1)


def hypersphere_terms(
    unlabelled: Tensor, known: Tensor, known_share: float, eta: float, epsilon: float
) -> dict[str, Tensor]:
    """The objective of Deep SAD (Ruff et al. 2020, eq. 7, MEMORY): named scalars to be added up.

        1/(n+m) sum_i d_i + eta/(n+m) sum_j 1/(d_j + epsilon)

    with its two sums as means of a batch, weighted by what each kind is of the n + m training images.

    Args:
        unlabelled, known: squared distances (N,) and (M,) of unlabelled images and known anomalies; M may be 0, and
            then it is the one-class objective of Deep SVDD (Ruff et al. 2018, eq. 4, MEMORY).
        known_share: m/(n+m), in [0, 1).
        eta: weight of known anomalies.
        epsilon: keeps the inverse of a distance finite.
    """
    if not len(known):
        return {"e_distance": unlabelled.mean()}
    return {
        "e_distance": (1 - known_share) * unlabelled.mean(),
        "e_known_anomalies": known_share * eta * (known + epsilon).reciprocal().mean(),
    }


def away_from_zero(center: Tensor, least: float) -> Tensor:
    """The center (D,) with coordinates nearer to 0 than `least` moved to +- `least`: weights of 0 would reach a 0."""
    edge = torch.where(center < 0, -least, least).to(center)
    return torch.where(center.abs() < least, edge, center)
