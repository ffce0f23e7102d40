"""Penalties on the critic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def interpolate(real: Tensor, fake: Tensor, t: Tensor) -> Tensor:
    """Points t x_r + (1 - t) x_q on the lines between pairs; `t` (N,) is drawn once per sample, not per channel."""
    t = t.view(-1, *[1] * (real.dim() - 1))
    return t * real + (1 - t) * fake


def gradient_penalty(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """WGAN-GP: (||grad f(x^)||_2 - 1)^2 per image, the norm over all of C, H, W (Gulrajani et al. 2017). -> (N,)."""
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()
