"""The variational autoencoder (Kingma & Welling 2014) with the reconstruction probability of An & Cho (2015)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, shown, whole, yes_or_no
from semigan_pl.latent_search import frozen
from semigan_pl.losses.distances import residual
from semigan_pl.losses.variational import bernoulli_log_density, divergence_from_prior, gaussian_log_density
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.types import Batch, Inspection

LIKELIHOODS = ("gaussian", "bernoulli")
AVERAGES = ("log_density", "density")


class VAE(LearnedModule):
    """An autoencoder of distributions; an image that it gives a low probability is anomalous.

    It minimises the negative evidence lower bound -log p(x|z) + KL(q(z|x) || p(z)) with one z ~ q(z|x) per image.
    There is no discriminator, and so no gamma: known anomalies take no part in its training.

    Terms, (N,) each, from `draws` latents z_l ~ q(z|x), whose noise is the same for every image:
        reconstruction_probability: -1/L sum of log p(x|z_l), the score (the paper averages "probabilities"; the mean of
            logarithms is ours); with average=density -log 1/L sum of p(x|z_l)
        residual: ||x - x'||_1, x' the mean of the decoded means, which is also the reconstruction
        elbo: the negative bound, -1/L sum of log p(x|z_l) + KL

    The map is log p(x|x, s) - log p(x|z), pixel by pixel, mean over z_l and channels: half the deviance of a pixel,
    (x - mu)^2 / 2 s^2 under a normal distribution; 0 where x is what was expected. (-log p itself would also glow where
    the decoder merely knows little, be the pixel as expected or not.)

    Args:
        autoencoder: `encode` and `decode` to means and log deviations (GaussianAutoencoder).
        likelihood: of a pixel: `gaussian`, or `bernoulli` for images of black and white; with it greys cost their
            entropy however well they are redrawn (measured on the grey digits: AUROC 0.62, gaussian 0.94).
        deviation: s of every pixel, in units of images in [-1, 1]; None: the decoder says it, for each pixel.
        draws: L; 10 (ours).
        average: `log_density` or `density`, see above.
        channels_last: see AdversarialModule.
        **base: the arguments of LearnedModule.
    """

    terms = ("reconstruction_probability", "residual", "elbo")
    players = ("autoencoder",)
    grows = False  # a progressive decoder works at its full size: the encoder does not grow with it

    def __init__(
        self,
        autoencoder: nn.Module,
        likelihood: str,
        deviation: float | None,
        draws: int,
        average: str,
        channels_last: bool,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        for option, value, known in (("likelihood", likelihood, LIKELIHOODS), ("average", average, AVERAGES)):
            if value not in known:
                raise ValueError(f"model.{option}={shown(value)} is unknown: use {' or '.join(known)}")
        if deviation is not None:
            number("model.deviation", deviation, above=0)
            if likelihood != "gaussian":
                raise ValueError(f"model.deviation={deviation} is of a normal distribution: add likelihood=gaussian")
        layout = torch.channels_last if yes_or_no("model.channels_last", channels_last) else torch.contiguous_format
        self.autoencoder: Any = autoencoder.to(memory_format=layout)  # type: ignore[call-overload]
        self.likelihood = likelihood
        self.deviation = deviation
        self.average = average
        self.draws = whole("model.draws", draws, least=1)

    def log_density(self, images: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
        """log p(x|z), value by value, of images (N, C, H, W) and what was decoded from z. -> (N, C, H, W)."""
        if self.likelihood == "bernoulli":
            return bernoulli_log_density(images, mean)
        if self.deviation is not None:
            log_deviation = torch.full_like(mean, math.log(self.deviation))
        return gaussian_log_density(images, mean, log_deviation)

    def autoencoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        images = batch.unlabelled
        mean, log_deviation = self.autoencoder.encode(images)
        z = mean + log_deviation.exp() * self.gaussian(*mean.shape)
        likelihood = self.log_density(images, *self.autoencoder.decode(z)).flatten(1).sum(1)
        return {"a_likelihood": -likelihood.mean(), "a_kl": divergence_from_prior(mean, log_deviation).mean()}

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        mean, log_deviation = self.autoencoder.encode(images)
        densities, drawn, surprise = [], torch.zeros_like(images), torch.zeros_like(images)
        for noise in self._prior(self.draws).to(mean):
            decoded = self.autoencoder.decode(mean + log_deviation.exp() * noise)
            log_density = self.log_density(images, *decoded)
            densities.append(log_density.flatten(1).sum(1))
            drawn += decoded[0] / self.draws
            surprise += (self.log_density(images, images, decoded[1]) - log_density) / self.draws
        logs = torch.stack(densities, 1)  # (N, L)
        mean_log = logs.mean(1)
        score = mean_log if self.average == "log_density" else logs.logsumexp(1) - math.log(self.draws)
        return Inspection(
            terms={
                "reconstruction_probability": -score,
                "residual": residual(images, drawn),
                "elbo": divergence_from_prior(mean, log_deviation) - mean_log,
            },
            anomaly_map=surprise.clamp(min=0).mean(1, keepdim=True),  # rounding alone could make it negative
            reconstruction=drawn.clamp(-1, 1),
        )

    def samples(self, n: int) -> Tensor:
        """Decoded means of `n` latents of the prior (n, C, H, W): without the pixels' own noise."""
        with torch.no_grad(), frozen(self.autoencoder):
            images: Tensor = self.autoencoder.decode(self._prior(n).to(self.device))[0]
        return images

    def _prior(self, n: int) -> Tensor:
        """`n` latents of N(0, I), always the same: what an image scores must not depend on the training's seed."""
        return torch.randn(n, self.autoencoder.latent_dim, generator=torch.Generator().manual_seed(0))
