"""A variational autoencoder's two networks: each tells the mean and the deviation of a normal distribution."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from semigan_pl.checks import whole

MOST_LOG_DEVIATION = 3.0  # of a pixel, either way (ours): a pixel that is always black would take s to 0


class GaussianAutoencoder(nn.Module):
    """q(z|x) = N(mu_z, diag s_z^2) and p(x|z) = N(mu_x, diag s_x^2), from an encoder and a decoder twice as wide.

    Any encoder and any generator of this project will do: they are built with twice the numbers at their end, the
    first half for means, the second for logarithms of deviations. What the decoder says in [-1, 1] of log s_x stands
    for [-3, 3], and what goes beyond is cut off.

    Args:
        encoder: builds images -> numbers (N, 2 latent_dim), from `latent_dim`.
        decoder: builds latents -> numbers (N, 2 channels, H, W), from `channels` and `latent_dim`.
        channels: of the images, 1 or 3.
        latent_dim: of z.
    """

    def __init__(
        self, encoder: Callable[..., nn.Module], decoder: Callable[..., nn.Module], channels: int, latent_dim: int
    ) -> None:
        super().__init__()
        self.latent_dim = whole("model.autoencoder.latent_dim", latent_dim, least=1)
        self.encoder = encoder(latent_dim=2 * self.latent_dim)
        self.decoder = decoder(channels=2 * channels, latent_dim=self.latent_dim)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to mean and log deviation of their latents, (N, latent_dim) each."""
        mean, log_deviation = self.encoder(images).float().chunk(2, 1)
        return mean, log_deviation

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (N, latent_dim) to mean and log deviation of every pixel, (N, C, H, W) each."""
        mean, log_deviation = self.decoder(z).float().chunk(2, 1)
        return mean, MOST_LOG_DEVIATION * log_deviation.clamp(-1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The mean image of the mean latent. (N, C, H, W) -> the same."""
        return self.decode(self.encode(images)[0])[0]
