"""Densities of variational autoencoders (Kingma & Welling 2014), per pixel, and the divergence of their latents."""

from __future__ import annotations

import math

from torch import Tensor

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
LEAST_SHARE = 1e-6  # of a Bernoulli distribution: the logarithm of a tanh that rounds to -1 would be infinite


def gaussian_log_density(images: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log N(x; mu, s^2), value by value. Images (N, C, H, W), mean and log s of the same shape -> the same."""
    deviations = (images - mean) * (-log_deviation).exp()
    return -0.5 * deviations.square() - log_deviation - HALF_LOG_TWO_PI


def bernoulli_log_density(images: Tensor, mean: Tensor) -> Tensor:
    """x log p + (1 - x) log(1 - p), value by value, of images and means in [-1, 1] carried to [0, 1].

    The logarithm of a probability where images are black and white; for greys the usual stand-in, which no constant
    makes a density. (N, C, H, W) twice -> the same; never positive.
    """
    white = (images + 1) / 2
    p = ((mean + 1) / 2).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    return white * p.log() + (1 - white) * (-p).log1p()


def divergence_from_prior(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(mu, diag s^2) || N(0, I)) = sum of (mu^2 + s^2 - 1) / 2 - log s. (N, d) twice -> (N,)."""
    return (0.5 * (mean.square() + (2 * log_deviation).exp() - 1) - log_deviation).sum(1)
