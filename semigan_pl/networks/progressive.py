"""Networks of the progressive GAN (Karras et al. 2018) for square images of 4, 8, 16, ... px.

All layers exist from the start and `stage` says which of them work, so optimizers and checkpoints never change shape.
At a stage below full size the generator returns, and the discriminator takes, images of `stage.resolution` px.

Departures, ours: a statistic of the training takes the place of the batch's at evaluation (see MinibatchStddev), and
no layer is narrower than 8 channels: pixel norm of one channel would leave nothing but its sign.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from semigan_pl.growth import SMALLEST, Stage, double, halve, level
from semigan_pl.networks.layers import HE, EqualizedConv2d, EqualizedLinear, MinibatchStddev, PixelNorm, pixel_norm
from semigan_pl.networks.prior import sample_prior

NARROWEST = 8


def feature_maps(image_size: int, fmap_base: int, fmap_max: int) -> list[int]:
    """Channels at 4, 8, ..., `image_size` px: fmap_base / 2, / 4, ..., but from 8 (or fmap_max) to fmap_max."""
    if fmap_base < 1 or fmap_max < 1:
        raise ValueError(f"fmap_base={fmap_base} and fmap_max={fmap_max} of a progressive network have to be positive")
    levels = range(1, level(image_size) + 2)
    return [min(max(fmap_base >> n, NARROWEST), fmap_max) for n in levels]


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.2)


class Growing(nn.Module):
    """A network with a `stage`, set from outside; at first it is at its full size.

    The fade's weight is a tensor: then compiled code is made anew twice per resolution and not at every step.
    """

    _alpha: Tensor

    def __init__(self, image_size: int) -> None:
        super().__init__()
        level(image_size, "data.image_size")
        self.image_size = image_size
        self.register_buffer("_alpha", torch.ones(()), persistent=False)
        self.stage = Stage(image_size)

    @property
    def stage(self) -> Stage:
        """The resolution at work, and how far it has faded in."""
        return self._stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        if stage.resolution > self.image_size:
            raise ValueError(
                f"a network of {self.image_size} px (data.image_size) has no stage of {stage.resolution} px"
            )
        self._stage = stage
        self._level = level(stage.resolution)
        self._fading = stage.alpha < 1
        self._alpha.fill_(stage.alpha)

    def _blend(self, old: Tensor, new: Tensor) -> Tensor:
        """old + alpha (new - old); exactly the old at alpha 0."""
        return old.lerp(new, self._alpha.to(old.dtype))


class ProgressiveGenerator(Growing):
    """Latents to images of `stage.resolution` px.

    Latents are projected to the sphere first, whatever their prior, so that a search never leaves it. The last layer
    is linear as in the reference: values may leave [-1, 1] a little, and a search keeps its gradient there.

    Args:
        image_size: full size, a power of two from 4 on.
        channels: of the images, 1 or 3.
        latent_dim: of z.
        fmap_base, fmap_max: width, see `feature_maps`; 8192 and 512 in the paper.
        prior: of z before the projection: `normal` (uniform on the sphere) or `uniform` (in the cube).
    """

    def __init__(
        self, image_size: int, channels: int, latent_dim: int, fmap_base: int, fmap_max: int, prior: str
    ) -> None:
        super().__init__(image_size)
        if latent_dim < 2:
            raise ValueError(f"latent_dim={latent_dim} of a progressive generator: a sphere needs at least 2")
        widths = feature_maps(image_size, fmap_base, fmap_max)
        self.latent_dim = latent_dim
        self.prior = prior
        filled = -(-latent_dim // 8) * 8  # zeros up to a multiple of 8: see dcgan.py; they bring no variance either
        self.project = EqualizedLinear(filled, widths[0] * 16, HE / 4 * math.sqrt(filled / latent_dim), bias=False)
        self.bias = nn.Parameter(torch.zeros(widths[0], 1, 1))
        self.start = nn.Sequential(_activation(), PixelNorm(), *_normed(widths[0], widths[0]))
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2.0), *_normed(n_in, n_out), *_normed(n_out, n_out))
            for n_in, n_out in pairwise(widths)
        )
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1.0) for width in widths)

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        """Draws `n` latents (n, latent_dim) from the prior, on the device of `noise`."""
        return sample_prior(self.prior, (n, self.latent_dim), noise)

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, latent_dim) to images (N, C, R, R), R = stage.resolution, around [-1, 1]."""
        filled = pad(pixel_norm(z), (0, self.project.in_features - self.latent_dim))
        x = self.start(self.project(filled).unflatten(1, (-1, SMALLEST, SMALLEST)) + self.bias)
        top = self._level
        for n in range(top - self._fading):
            x = self.grow[n](x)
        if not self._fading:
            return self.to_rgb[top](x)
        return self._blend(double(self.to_rgb[top - 1](x)), self.to_rgb[top](self.grow[top - 1](x)))


def _normed(n_in: int, n_out: int) -> list[nn.Module]:
    return [EqualizedConv2d(n_in, n_out, 3), _activation(), PixelNorm()]


class ProgressiveDiscriminator(Growing):
    """Images of `stage.resolution` px to logits f(x), high for "real and normal".

    Its features f_l are the activations at 4 x 4 before the minibatch standard deviation: one image's and no other's.

    Args:
        image_size, channels, fmap_base, fmap_max: as the generator's.
        group_size: see MinibatchStddev; 4 in the reference, at batches below 16 the whole batch.
    """

    def __init__(self, image_size: int, channels: int, fmap_base: int, fmap_max: int, group_size: int) -> None:
        super().__init__(image_size)
        widths = feature_maps(image_size, fmap_base, fmap_max)
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualizedConv2d(channels, width, 1), _activation()) for width in widths
        )
        self.shrink = nn.ModuleList(  # shrink[n] leads from level n + 1 to level n
            nn.Sequential(*_plain(n_in, n_in), *_plain(n_in, n_out), nn.AvgPool2d(2))
            for n_out, n_in in pairwise(widths)
        )
        self.stddev = MinibatchStddev(group_size)
        self.judge = nn.Sequential(
            EqualizedConv2d(widths[0] + 1, widths[0], 3),
            _activation(),
            nn.Flatten(),
            EqualizedLinear(widths[0] * 16, widths[0]),
            _activation(),
            EqualizedLinear(widths[0], 1, gain=1.0),
        )

    def features(self, images: Tensor) -> Tensor:
        """Activations f_l(x) at 4 x 4, (N, F); F is the same at every stage."""
        size, top = self.stage.resolution, self._level
        if images.shape[2:] != (size, size):
            raise ValueError(
                f"the discriminator stands at {size} px and was shown images of {tuple(images.shape[2:])} px: "
                "show it what growth.resize_to makes of them"
            )
        x = self.from_rgb[top](images)
        if self._fading:
            x = self._blend(self.from_rgb[top - 1](halve(images)), self.shrink[top - 1](x))
        for n in reversed(range(top - self._fading)):
            x = self.shrink[n](x)
        return x.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits f(x), (N,)."""
        return self.verdict(self.features(images))

    def verdict(self, features: Tensor) -> Tensor:
        """Logits (N,) of images whose features (N, F) are known already."""
        return self.judge(self.stddev(features.unflatten(1, (-1, SMALLEST, SMALLEST)))).squeeze(1)


def _plain(n_in: int, n_out: int) -> list[nn.Module]:
    return [EqualizedConv2d(n_in, n_out, 3), _activation()]
