"""Distances between images, one value per image."""

from __future__ import annotations

from torch import Tensor


def residual(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Residual loss L_R = sum of abs(x - G(z)) over all pixels and channels (Kimura eq. 2). (N, ...) -> (N,)."""
    return (images - reconstructions).abs().flatten(1).sum(1)


def squared_residual(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Sum of (x - G(z))^2 over all pixels and channels. (N, ...) -> (N,)."""
    return (images - reconstructions).square().flatten(1).sum(1)


DISTANCES = {"absolute": residual, "squared": squared_residual}


def feature_distance(features: Tensor, other: Tensor) -> Tensor:
    """Discrimination loss L_D = sum of abs(f_l(x) - f_l(G(z))) (Kimura eq. 3, feature matching). (N, F) -> (N,)."""
    return residual(features, other)


def anomaly_map(images: Tensor, reconstructions: Tensor) -> Tensor:
    """abs(x - G(z)), averaged over the channels. (N, C, H, W) -> (N, 1, H, W)."""
    return (images - reconstructions).abs().mean(1, keepdim=True)
