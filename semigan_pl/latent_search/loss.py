"""What a latent search minimises, for each image by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semigan_pl.losses.distances import DISTANCES


@dataclass(frozen=True)
class SearchLoss:
    """L(z) = (1 - lambda) L_R(z) + lambda L_D(z) + prior / 2 ||z||^2; without the last term equation (4) of the paper.

    With squared distances it is, up to a constant, the negative logarithm of p(x, f | z) p(z) for normal noise around
    G(z) and its features and a normal p(z): its minimum is the most probable z (ours; the papers have absolute
    differences and no prior).

    Args:
        lambda_: weight of the discrimination loss.
        distance: of pixels and of features: `absolute` (sum of |a - b|) or `squared` (sum of (a - b)^2).
        prior: weight of ||z||^2 / 2; for latents that are normal as the generator takes them, not for those that it
            brings to a sphere.
    """

    lambda_: float
    distance: str
    prior: float

    def between(self, values: Tensor, others: Tensor) -> Tensor:
        """Distance of each pair of rows. (N, ...), (N, ...) -> (N,)."""
        return DISTANCES[self.distance](values, others)

    def length(self, distance: Tensor) -> Tensor:
        """A distance in the units of what it is measured in: the Euclidean length where it is squared. (N,) -> (N,)."""
        return distance.sqrt() if self.distance == "squared" else distance

    def between_all(self, values: Tensor, others: Tensor) -> Tensor:
        """Distance of all pairs of rows. (N, F), (K, F) -> (N, K)."""
        if self.distance == "absolute":
            return torch.cdist(values, others, p=1)
        # not by a matrix product, whose last bits depend on how many rows there are
        return torch.cdist(values, others, compute_mode="donot_use_mm_for_euclid_dist").square()

    def __call__(self, z: Tensor, residual: Tensor, discrimination: Tensor) -> Tensor:
        """(..., latent_dim), (...), (...) -> (...)."""
        loss = (1 - self.lambda_) * residual + self.lambda_ * discrimination
        return loss + self.prior / 2 * z.square().sum(-1) if self.prior else loss
