"""The second stage of f-AnoGAN (Schlegl et al. 2019): an encoder learns to invert a generator that no longer moves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, share, shown, whole
from semigan_pl.growth import adversarial_images

Network = Callable[[Tensor], Tensor]
KINDS = ("ziz", "izi", "izi_f")


def mean_squared_difference(values: Tensor, other: Tensor) -> Tensor:
    """1/n ||x - y||^2, n the numbers of one row. (N, ...), (N, ...) -> (N,)."""
    return (values - other).square().flatten(1).mean(1)


def ziz_terms(z: Tensor, encoder: Network, generator: Network) -> dict[str, Tensor]:
    """1/d ||z - E(G(z))||^2 of latents (N, d): the encoder sees generated images only."""
    return {"e_latent": mean_squared_difference(z, encoder(generator(z))).mean()}


def izi_terms(images: Tensor, encoder: Network, generator: Network) -> dict[str, Tensor]:
    """1/n ||x - G(E(x))||^2 of images (N, C, H, W)."""
    return {"e_residual": mean_squared_difference(images, generator(encoder(images))).mean()}


def izi_f_terms(
    images: Tensor, encoder: Network, generator: Network, features: Network, kappa: float
) -> dict[str, Tensor]:
    """The same, and kappa / n_f ||f(x) - f(G(E(x)))||^2 in the features of the discriminator, (N, F)."""
    drawn = generator(encoder(images))
    difference = mean_squared_difference(features(images), features(drawn))
    return {"e_residual": mean_squared_difference(images, drawn).mean(), "e_discrimination": kappa * difference.mean()}


class Encoding(nn.Module):
    """An encoder, and how it is trained once the adversarial game is over.

    Args:
        encoder: images (N, C, H, W) to latents (N, latent_dim).
        kind: which way round: `ziz` from latent to latent; `izi` from image to image; `izi_f` in features too.
        kappa: weight of the features.
        encoder_share: of the training, at its end, in which the encoder learns.
        optimizer: from parameters to an optimizer.
        max_images: length of the training, in unlabelled images seen.
    """

    def __init__(
        self,
        encoder: nn.Module,
        kind: str,
        kappa: float,
        encoder_share: float,
        optimizer: Callable[..., torch.optim.Optimizer],
        max_images: int,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"encoding.kind={shown(kind)} is unknown: use {', '.join(KINDS)}")
        self.encoder = encoder
        self.kind = kind
        self.kappa = number("encoding.kappa", kappa, least=0)
        self.make_optimizer = optimizer
        learned = share("encoder_share", encoder_share, above_zero=True)
        self.begins_at = adversarial_images(whole("max_images", max_images, least=0), learned)

    def terms(
        self, images: Tensor, generator: nn.Module, discriminator: nn.Module, sample_latents: Callable[[int], Tensor]
    ) -> dict[str, Tensor]:
        """L_E term by term, for unlabelled images (N, C, H, W) and networks that rest."""
        if self.kind == "ziz":
            return ziz_terms(sample_latents(len(images)), self.encoder, generator)
        if self.kind == "izi":
            return izi_terms(images, self.encoder, generator)
        return izi_f_terms(images, self.encoder, generator, discriminator.features, self.kappa)  # type: ignore[arg-type]
