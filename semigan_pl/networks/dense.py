"""Networks of dense layers for small images: encoder and decoder of An & Cho (2015), one hidden layer each."""

from __future__ import annotations

import math

from torch import Tensor, nn

from semigan_pl.checks import whole


class DenseEncoder(nn.Module):
    """Images to latents through one hidden layer with ReLU.

    Args:
        image_size, channels: of the images; any size.
        width: of the hidden layer; 400 in the paper.
        latent_dim: of z.
    """

    def __init__(self, image_size: int, channels: int, width: int, latent_dim: int) -> None:
        super().__init__()
        width, latent_dim = whole("width", width, least=1), whole("latent_dim", latent_dim, least=1)
        n_pixels = channels * image_size**2
        self.layers = nn.Sequential(nn.Linear(n_pixels, width), nn.ReLU(), nn.Linear(width, latent_dim))

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to latents (N, latent_dim)."""
        latents: Tensor = self.layers(images.flatten(1))
        return latents


class DenseDecoder(nn.Module):
    """Latents to images through one hidden layer with ReLU; tanh at the end. The arguments of DenseEncoder."""

    def __init__(self, image_size: int, channels: int, width: int, latent_dim: int) -> None:
        super().__init__()
        width, latent_dim = whole("width", width, least=1), whole("latent_dim", latent_dim, least=1)
        self.image_shape = (channels, image_size, image_size)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, math.prod(self.image_shape)), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, latent_dim) to images (N, C, H, W) in [-1, 1]."""
        return self.layers(z).unflatten(1, self.image_shape)  # type: ignore[no-any-return]
