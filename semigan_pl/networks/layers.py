"""Layers of progressive GANs (Karras et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

HE = math.sqrt(2)  # gain of a layer that a rectifier follows (He et al. 2015)
EPSILON = 1e-8


class EqualizedLinear(nn.Linear):
    """Dense layer with equalized learning rate: weights N(0, 1), used times c = gain / sqrt(fan_in); bias 0, unscaled.

    Adam moves every weight by about its learning rate; with c outside of the weight, that is the same share of each
    layer's range.
    """

    def __init__(self, n_in: int, n_out: int, gain: float = HE, bias: bool = True) -> None:
        super().__init__(n_in, n_out, bias)
        self.scale = gain / math.sqrt(n_in)

    def reset_parameters(self) -> None:
        _equalize(self)

    def forward(self, input: Tensor) -> Tensor:
        """(N, n_in) -> (N, n_out)."""
        return linear(input, self.weight * self.scale, self.bias)


class EqualizedConv2d(nn.Conv2d):
    """Convolution of stride 1 that keeps the size, with equalized learning rate as EqualizedLinear has it."""

    def __init__(self, n_in: int, n_out: int, kernel: int, gain: float = HE) -> None:
        super().__init__(n_in, n_out, kernel, padding=kernel // 2)
        self.scale = gain / math.sqrt(n_in * kernel**2)

    def reset_parameters(self) -> None:
        _equalize(self)

    def forward(self, input: Tensor) -> Tensor:
        """(N, n_in, H, W) -> (N, n_out, H, W)."""
        return self._conv_forward(input, self.weight * self.scale, self.bias)


def _equalize(layer: nn.Linear | nn.Conv2d) -> None:
    nn.init.normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def pixel_norm(x: Tensor) -> Tensor:
    """x / sqrt(mean over channels of x^2 + 1e-8), for each pixel or latent by itself. (N, C, ...) -> the same."""
    mean_square = x.float().square().mean(1, keepdim=True)  # in half precision squares overflow and 1e-8 is 0
    return x * (mean_square + EPSILON).rsqrt().to(x.dtype)


class PixelNorm(nn.Module):
    """`pixel_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        return pixel_norm(x)


def largest_divisor(n: int, limit: int) -> int:
    """The largest divisor of `n` not above `limit`."""
    return next(divisor for divisor in range(min(n, limit), 0, -1) if n % divisor == 0)


def group_deviation(x: Tensor, group_size: int) -> Tensor:
    """How much samples vary within their group: the biased standard deviation, averaged over C, H and W.

    N samples form N / G groups of G, the largest divisor of N not above `group_size`; sample i belongs to group
    i mod (N / G), as in the reference. (N, C, H, W) -> (N / G,), float32.
    """
    size = largest_divisor(len(x), group_size)
    variance = x.float().unflatten(0, (size, len(x) // size)).var(0, correction=0)
    return (variance + EPSILON).sqrt().flatten(1).mean(1)


class MinibatchStddev(nn.Module):
    """Appends one channel that says how much the samples vary: in training the discriminator sees collapse by it.

    At evaluation a running mean of the statistic takes its place (ours): then no score depends on its batch. The mean
    is over all batches that the discriminator saw in training, real, generated and known anomalous ones; the first
    hundred count equally, and later ones by an exponential average.

    Args:
        group_size: samples that are compared, at most; smaller where it does not divide the batch.
    """

    momentum = 0.01
    mean: Tensor
    batches: Tensor

    def __init__(self, group_size: int) -> None:
        super().__init__()
        if group_size < 1:
            raise ValueError(
                f"group_size={group_size} of the minibatch standard deviation: give at least 1 (4 is usual)"
            )
        self.group_size = group_size
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 1, H, W)."""
        if self.training:
            deviation = group_deviation(x, self.group_size)
            self._remember(deviation.detach().mean())
            statistic = deviation.repeat(len(x) // len(deviation))
        else:
            statistic = self.mean.expand(len(x))
        channel = statistic.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return torch.cat([x, channel], 1)

    def _remember(self, deviation: Tensor) -> None:
        self.batches.add_(1)
        self.mean.lerp_(
            deviation.to(self.mean.dtype), self.batches.to(self.mean.dtype).reciprocal().clamp(min=self.momentum)
        )
