"""Images to latents: the encoder of f-AnoGAN (Schlegl et al. 2019), for square images of 16 to 1024 px.

Departures, ours: strided convolutions as in DCGAN, where the reference has residual blocks; and no tanh at the end
unless one asks for it: the reference bounds its latents to (-1, 1) although its prior is normal.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from semigan_pl.checks import shown, whole
from semigan_pl.networks.scaling import doubled_widths, halvings

BOUNDS = {"none": nn.Identity, "tanh": nn.Tanh}


class ConvEncoder(nn.Module):
    """4x4 convolutions of stride 2 down to 4 x 4 (28 px: 7 x 7), BatchNorm after all but the first, then dense.

    Latents come as they are, for generators of every kind: one that works on a sphere projects them itself.

    Args:
        image_size: see `halvings`.
        channels: of the images, 1 or 3.
        width: channels at half the image's size; they double with each halving, at most to 8 times.
        latent_dim: of z, the generator's.
        bound: `tanh` for latents in (-1, 1), as a uniform prior has them; `none` for any.
    """

    def __init__(self, image_size: int, channels: int, width: int, latent_dim: int, bound: str) -> None:
        super().__init__()
        start, n = halvings(image_size)
        if bound not in BOUNDS:
            raise ValueError(f"encoding.encoder.bound={shown(bound)} is unknown: use {' or '.join(BOUNDS)}")
        widths = doubled_widths(whole("network_sizes.*.width", width, least=1), n)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2)]
        self.shrink = nn.Sequential(*layers)
        self.to_latent = nn.Linear(widths[-1] * start**2, whole("network_sizes.*.latent_dim", latent_dim, least=1))
        self.bound = BOUNDS[bound]()

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to latents (N, latent_dim)."""
        latents: Tensor = self.bound(self.to_latent(self.shrink(images).flatten(1)))
        return latents
