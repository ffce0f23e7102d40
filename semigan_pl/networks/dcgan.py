"""DCGAN networks (Radford et al. 2016) for square images of 16 px and more.

Departures, ours: the discriminator has spectral norm and no BatchNorm. It sees real, generated and known anomalous
images as three separate batches, and BatchNorm's running statistics would be a blend that no batch ever had.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.parametrizations import spectral_norm

from semigan_pl.checks import shown, whole
from semigan_pl.networks.prior import sample_prior
from semigan_pl.networks.scaling import doubled_widths, halvings

NORMALIZATIONS = ("spectral", "none")


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm scales N(1, 0.02), as in the paper."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class DCGANGenerator(nn.Module):
    """Latents to images: a dense layer to 4 x 4 (28 px: 7 x 7), then transposed 4x4 convolutions of stride 2; tanh."""

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int, prior: str) -> None:
        super().__init__()
        self.start, n = halvings(image_size)
        widths = doubled_widths(whole("network_sizes.*.width", width, least=1), n)[::-1]
        self.latent_dim = whole("network_sizes.*.latent_dim", latent_dim, least=1)
        self.prior = prior
        self.latents_are_normal = prior == "normal"  # N(0, I), and as they are: see SearchLoss
        # Latents are filled up with zeros to a multiple of 8: gradients through a matrix 5, 6 or 10 wide differ in
        # the last bits with an image's place in the batch (measured on a CPU), and then so would its score.
        self.project = nn.Linear(-(-latent_dim // 8) * 8, widths[0] * self.start**2, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for n_in, n_out in pairwise(widths):
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh()]
        self.grow = nn.Sequential(*layers)
        self.apply(initialize)

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        """Draws `n` latents (n, latent_dim) from the prior, on the device of `noise`."""
        return sample_prior(self.prior, (n, self.latent_dim), noise)

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, latent_dim) to images (N, C, H, W) in [-1, 1]."""
        filled = pad(z, (0, self.project.in_features - self.latent_dim))
        return self.grow(self.project(filled).unflatten(1, (-1, self.start, self.start)))


class DCGANDiscriminator(nn.Module):
    """Images to logits f(x), high for "real and normal"; its last hidden layer is the f_l of feature matching.

    Args:
        image_size, channels: of the images.
        width: channels at half the image's size.
        normalization: `spectral`, or `none` where a gradient penalty or a weight limit takes its place.
    """

    def __init__(self, image_size: int, channels: int, width: int, normalization: str) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization={shown(normalization)} is unknown: use {' or '.join(NORMALIZATIONS)}")
        start, n = halvings(image_size)
        widths = [channels, *doubled_widths(whole("network_sizes.*.width", width, least=1), n)]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.shrink = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * start**2, 1)
        self.apply(initialize)
        for module in [*self.shrink, self.head]:
            if normalization == "spectral" and isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)

    def features(self, images: Tensor) -> Tensor:
        """Last hidden activations f_l(x), (N, F)."""
        return self.shrink(images).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits f(x), (N,)."""
        return self.verdict(self.features(images))

    def verdict(self, features: Tensor) -> Tensor:
        """Logits (N,) of images whose features (N, F) are known already."""
        return self.head(features).squeeze(1)
