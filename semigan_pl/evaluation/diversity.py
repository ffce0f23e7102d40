"""What tells a healthy GAN from a failing one, in numbers that mean the same for every loss and every data set."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_diversity(generated: Tensor, real: Tensor) -> float:
    """Mean distance of two generated images over that of two real ones (ours).

    1: as diverse as the real images; near 0: the generator makes nearly the same image over and over (mode collapse).
    k images repeated equally often come to about 1 - 1 / k. Means over pairs have no bias in small sets.

    Args:
        generated, real: (N, C, H, W) and (M, C, H, W), at least 2 of each.

    Raises ValueError for fewer: one image has no diversity. Real images that are all equal give 1: nothing is lacking.
    """
    if min(len(generated), len(real)) < 2:
        raise ValueError(
            f"diversity of {len(generated)} generated and {len(real)} real images: give at least 2 of each"
        )
    possible = mean_pairwise_distance(real)
    return mean_pairwise_distance(generated) / possible if possible > 0 else 1.0


def mean_pairwise_distance(images: Tensor) -> float:
    """Mean Euclidean distance over all pairs of images (N, ...), N >= 2."""
    return float(torch.pdist(images.flatten(1)).mean())


def separation(real_logits: Tensor, generated_logits: Tensor) -> float:
    """Accuracy of a discriminator without a threshold, which a Wasserstein critic has none of. (N,), (M,) -> [0, 1].

    The share of pairs in which the real image has the higher logit, ties counted half: the AUROC of "is real". 0.5:
    it cannot tell them apart; 1: it tells every generated image from every real one.
    """
    gaps = real_logits.unsqueeze(1) - generated_logits
    return float((gaps > 0).float().mean() + (gaps == 0).float().mean() / 2)
