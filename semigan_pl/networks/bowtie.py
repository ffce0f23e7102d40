"""Networks that redraw images: the bow tie of GANomaly (Akcay et al. 2018), R and D of ALOCC (Sabokrou et al. 2018).

All are made of two parts: convolutions of stride 2 that halve an image down to 4 px (7 for 28 px, see `scaling`), and
transposed ones that double it up again. GANomaly's are 4x4 (64-128-256 channels at 32 px in its code), ALOCC's 5x5
(64-128-256-512 in its paper). Convolutions have no bias: BatchNorm would take it away again. GANomaly's last
convolution, 4x4 without padding over 4x4 px, sees all of them at once, and so does its first transposed one: here they
stand as the dense layers that they amount to, with as many weights.

Networks that grow cannot take their place: those draw images from latents at any resolution of a pyramid, and these
redraw an image through layers that both halves need at full size.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import fold

from semigan_pl.checks import shown, whole, yes_or_no
from semigan_pl.networks.dcgan import initialize
from semigan_pl.networks.scaling import doubled_widths, halvings

KERNELS = (4, 5)  # px of a convolution of stride 2


def _padding(kernel: int) -> int:
    """With which a convolution of stride 2 halves every even size exactly. Raises ValueError for other kernels."""
    if kernel not in KERNELS:
        raise ValueError(f"a network's kernel={shown(kernel)} must be {' or '.join(map(str, KERNELS))} (px)")
    return (kernel - 1) // 2


class _ToImages(nn.ConvTranspose2d):
    """The transposed convolution that draws the images, as a matrix product and a sum over overlapping patches.

    With 1 or 3 channels the library's own is slow: 6.2 ms in the place of 0.9 for 64 grey images of 32 px from 64
    channels, on a CPU (measured).
    """

    def forward(self, values: Tensor, output_size: list[int] | None = None) -> Tensor:
        patches = self.weight.flatten(1).T @ values.flatten(2)  # (N, C k k, h w)
        size = (2 * values.shape[2], 2 * values.shape[3])
        return fold(patches, size, self.kernel_size, padding=self.padding, stride=self.stride)  # type: ignore[arg-type]


def _halving(channels: int, widths: list[int], kernel: int, norm_first: bool) -> nn.Sequential:
    """Convolutions of stride 2, BatchNorm, LeakyReLU: (N, channels, H, H) to (N, widths[-1], H / 2^n, H / 2^n)."""
    layers: list[nn.Module] = []
    for number, (n_in, n_out) in enumerate(pairwise([channels, *widths])):
        layers.append(nn.Conv2d(n_in, n_out, kernel, 2, _padding(kernel), bias=False))
        if number or norm_first:
            layers.append(nn.BatchNorm2d(n_out))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers)


def _doubling(channels: int, widths: list[int], kernel: int) -> nn.Sequential:
    """The mirror of `_halving`: transposed convolutions, BatchNorm and ReLU, back to `channels`; tanh at the end."""
    padding, odd = _padding(kernel), kernel % 2
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(reversed(widths)):
        layers.append(nn.ConvTranspose2d(n_in, n_out, kernel, 2, padding, odd, bias=False))
        layers += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, _ToImages(widths[0], channels, kernel, 2, padding, odd, bias=False), nn.Tanh())


class _Encoder(nn.Sequential):
    """Images (N, C, H, H) to codes (N, latent_dim), with no activation at the end."""

    def __init__(self, start: int, channels: int, widths: list[int], latent_dim: int) -> None:
        code = nn.Linear(widths[-1] * start**2, latent_dim, bias=False)
        super().__init__(_halving(channels, widths, 4, norm_first=False), nn.Flatten(), code)


class _Decoder(nn.Sequential):
    """Codes (N, latent_dim) to images (N, C, H, H) in [-1, 1]."""

    def __init__(self, start: int, channels: int, widths: list[int], latent_dim: int) -> None:
        spread = nn.Linear(latent_dim, widths[-1] * start**2, bias=False)
        super().__init__(
            spread,
            nn.Unflatten(1, (widths[-1], start, start)),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(inplace=True),
            _doubling(channels, widths, 4),
        )


class BowTie(nn.Module):
    """GANomaly's generator: an encoder G_E, a decoder G_D, and a second encoder E for what is redrawn.

    Args:
        image_size: start x 2^n px, start from 4 to 7.
        channels: of the images, 1 or 3.
        width: channels at half the image's size; they double with each halving, at most to 8 times. Ours: without an
            end, as in the paper's code, 256 px take 189 million weights with the discriminator, so 47 million.
        latent_dim: of the codes; 100 in the paper.
    """

    def __init__(self, image_size: int, channels: int, width: int, latent_dim: int) -> None:
        super().__init__()
        start, n = halvings(image_size)
        widths = doubled_widths(whole("network_sizes.*.width", width, least=1), n)
        whole("network_sizes.*.latent_dim", latent_dim, least=1)
        self.encoder = _Encoder(start, channels, widths, latent_dim)  # G_E
        self.decoder = _Decoder(start, channels, widths, latent_dim)  # G_D
        self.second_encoder = _Encoder(start, channels, widths, latent_dim)  # E
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Images redrawn, G(x) = G_D(G_E(x)): (N, C, H, W) in [-1, 1] to the same. The second encoder is left out."""
        redrawn: Tensor = self.decoder(self.encoder(images))
        return redrawn

    def codes(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """G(x) (N, C, H, W), and the codes before and after: z = G_E(x) and z^ = E(G(x)), (N, latent_dim) each."""
        z = self.encoder(images)
        redrawn = self.decoder(z)
        return redrawn, z, self.second_encoder(redrawn)


class Reconstructor(nn.Module):
    """ALOCC's R: strided convolutions down, transposed ones up again, and no code of numbers between them.

    Args:
        image_size, channels, width: as for BowTie.
        kernel: px; 5 in the paper.
    """

    def __init__(self, image_size: int, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        _, n = halvings(image_size)
        widths = doubled_widths(whole("network_sizes.*.width", width, least=1), n)
        self.encoder = _halving(channels, widths, kernel, norm_first=True)
        self.decoder = _doubling(channels, widths, kernel)
        self.apply(initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Images redrawn, R(x): (N, C, H, W) to the same, in [-1, 1]."""
        redrawn: Tensor = self.decoder(self.encoder(images))
        return redrawn


class BowTieDiscriminator(nn.Module):
    """A discriminator in the shape of the encoders: its code is one number, the logit f(x), high for real and normal.

    With BatchNorm, as in both papers: in training it sees real, redrawn and known anomalous images as separate batches,
    each by its own statistics; in eval mode by their running blend. A gradient penalty would see its points through
    their common statistics, and is then not what it should be, image by image: leave it out with this network.

    Args:
        image_size, channels, width: as for BowTie.
        kernel: px; 4 in GANomaly, 5 in ALOCC.
        norm_first: whether the first convolution has BatchNorm too, as in ALOCC.
    """

    def __init__(self, image_size: int, channels: int, width: int, kernel: int, norm_first: bool) -> None:
        super().__init__()
        start, n = halvings(image_size)
        widths = doubled_widths(whole("network_sizes.*.width", width, least=1), n)
        normed = yes_or_no("model.discriminator.norm_first", norm_first)
        self.shrink = _halving(channels, widths, kernel, normed)
        self.head = nn.Linear(widths[-1] * start**2, 1, bias=False)
        self.apply(initialize)

    def features(self, images: Tensor) -> Tensor:
        """Last hidden activations f_l(x), (N, F)."""
        return self.shrink(images).flatten(1)

    def verdict(self, features: Tensor) -> Tensor:
        """Logits (N,) of images whose features (N, F) are known already."""
        return self.head(features).squeeze(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits f(x), (N,)."""
        return self.verdict(self.features(images))
