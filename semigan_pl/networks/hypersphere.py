"""An autoencoder without bias terms, for representations that are drawn together (Ruff et al. 2018).

With a bias anywhere, weights of 0 and the center as bias would map every image onto the center. So no layer has one,
BatchNorm neither scales nor shifts, rectifiers are leaky, and images come in [0, 1]: what is black stays 0.

Departure, ours: 4x4 convolutions of stride 2 as in DCGAN, where the reference has LeNets (5x5 convolutions and pooling;
MEMORY). On MNIST AUROC was about the same (one seed), and a step takes a quarter of the time (measured on a CPU).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from semigan_pl.checks import whole
from semigan_pl.networks.scaling import doubled_widths, halvings


class HypersphereEncoder(nn.Module):
    """4x4 convolutions of stride 2 down to 4 to 7 px, then a dense layer to the representation.

    Args:
        image_size: one that `halvings` takes.
        channels: of the images, 1 or 3.
        width: of a GAN of this size; the first convolution has half as many channels (the reference is narrow too), and
            they double with each halving, at most to 8 times.
        representation_dim: numbers per image.
    """

    def __init__(self, image_size: int, channels: int, width: int, representation_dim: int) -> None:
        super().__init__()
        start, widths = _layout(image_size, width)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([channels, *widths]):
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), *_activation(n_out)]
        self.shrink = nn.Sequential(*layers)
        self.representation_dim = whole("model.encoder.representation_dim", representation_dim, least=1)
        self.represent = nn.Linear(widths[-1] * start**2, representation_dim, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to representations phi(x), (N, representation_dim)."""
        representations: Tensor = self.represent(self.shrink((images + 1) / 2).flatten(1))
        return representations


class HypersphereDecoder(nn.Module):
    """The encoder backwards: a dense layer to 4 to 7 px, then transposed convolutions; a sigmoid ends in [0, 1].

    Args:
        image_size, channels, width, representation_dim: the encoder's.
    """

    def __init__(self, image_size: int, channels: int, width: int, representation_dim: int) -> None:
        super().__init__()
        start, widths = _layout(image_size, width)
        self.project = nn.Linear(representation_dim, widths[-1] * start**2, bias=False)
        self.unflatten = nn.Unflatten(1, (widths[-1], start, start))
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([*reversed(widths), channels]):
            layers += [*_activation(n_in), nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)]
        self.grow = nn.Sequential(*layers)

    def forward(self, representations: Tensor) -> Tensor:
        """Representations (N, representation_dim) to images (N, C, H, W) in [-1, 1]."""
        drawn: Tensor = self.grow(self.unflatten(self.project(representations)))
        return 2 * drawn.sigmoid() - 1


def _layout(image_size: int, width: int) -> tuple[int, list[int]]:
    """Pixels at the narrow end, and channels from the image inwards."""
    start, n = halvings(image_size)
    return start, doubled_widths(max(1, whole("network_sizes.*.width", width, least=1) // 2), n)


def _activation(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, affine=False), nn.LeakyReLU(0.01)]
