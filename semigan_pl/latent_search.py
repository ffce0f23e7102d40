"""Latent search: the z whose G(z) comes closest to an image (Schlegl et al. 2017; Algorithm 1 of Kimura & Yanagihara).

    L(z) = (1 - lambda) L_R(z) + lambda L_D(z)

is minimised over z alone, generator and discriminator frozen. The loss is summed over the batch and Adam is
element-wise, so that the searches of a batch are independent; the start is a function of the seed alone. Together
the score of an image does not depend on which images are searched beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from semigan_pl.checks import number, share, shown, whole
from semigan_pl.losses.distances import feature_distance, residual

Features = Callable[[Tensor], Tensor]


class SearchResult(NamedTuple):
    """Where the search ended, per image."""

    z: Tensor  # (N, latent_dim)
    reconstruction: Tensor  # G(z), (N, C, H, W)
    residual: Tensor  # L_R(z), (N,)
    discrimination: Tensor  # L_D(z), (N,)


class Bank(NamedTuple):
    """Prior samples to start from, generated once for many images."""

    z: Tensor  # (K, latent_dim)
    images: Tensor  # G(z), (K, C, H, W)
    features: Tensor  # f_l(G(z)), (K, F)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Networks in eval mode, without gradients to their weights, their parametrizations computed once.

    Outside of inference mode, in which Lightning tests: what is computed there can never enter autograd again.
    """
    modules = [(module, module.training) for network in networks for module in network.modules()]
    parameters = [(p, p.requires_grad) for network in networks for p in network.parameters()]
    for network in networks:
        network.eval().requires_grad_(False)
    try:
        with torch.inference_mode(False), parametrize.cached():
            yield
    finally:
        for module, training in modules:
            module.training = training
        for parameter, requires_grad in parameters:
            parameter.requires_grad_(requires_grad)


@dataclass(frozen=True)
class LatentSearch:
    """Batched inversion of a generator.

    Args:
        steps: gradient steps n.
        learning_rates: Adam's learning rate from each share of the steps on; {0: 0.01, 0.4: 0.001} falls at 40 %.
        lambda_: weight of the discrimination loss; 0.1 in the AnoGAN paper.
        starts: prior samples tried per image before the first step; the one with the lowest loss starts (1: AnoGAN).
        seed: of the start latents, the same for every image.
    """

    steps: int
    learning_rates: Mapping[float, float]
    lambda_: float
    starts: int
    seed: int

    def __post_init__(self) -> None:
        whole("search.steps", self.steps, least=0)
        number("search.lambda_", self.lambda_, least=0, most=1)
        whole("search.starts", self.starts, least=1)
        whole("search.seed", self.seed, least=0)
        if not isinstance(self.learning_rates, Mapping) or 0 not in self.learning_rates:
            raise ValueError(
                f"search.learning_rates={shown(self.learning_rates)} must say from which share of the steps on which"
                " learning rate holds, from 0 on: {0: 0.05, 0.5: 0.02}"
            )
        for start, rate in self.learning_rates.items():
            share("search.learning_rates: share of the steps", start)
            number(f"search.learning_rates.{start}", rate, above=0)

    def loss(self, residual: Tensor, discrimination: Tensor) -> Tensor:
        """L = (1 - lambda) L_R + lambda L_D, equation (4). (N,), (N,) -> (N,)."""
        return (1 - self.lambda_) * residual + self.lambda_ * discrimination

    def learning_rate(self, step: int) -> float:
        """Adam's learning rate at a step, counted from 0."""
        return self.learning_rates[max(s for s in self.learning_rates if round(s * self.steps) <= step)]

    def bank(self, generator: nn.Module, features: Features) -> Bank:
        """The `starts` prior samples of the seed; the same for every image. `generator` offers `sample_latents`."""
        noise = torch.Generator(device="cpu").manual_seed(self.seed)
        z = generator.sample_latents(self.starts, noise)  # type: ignore[operator]
        with frozen(generator), torch.no_grad():
            z = z.to(next(generator.parameters()).device)
            images = generator(z)
            return Bank(z, images, features(images))

    def __call__(self, generator: nn.Module, features: Features, images: Tensor, bank: Bank) -> SearchResult:
        """Searches all images (N, C, H, W) at once. The networks must be frozen: see `frozen`.

        Args:
            generator: latents (N, latent_dim) to images.
            features: f_l, images to (N, F).
            bank: of `bank`, with the same networks.
        """
        with torch.no_grad():
            targets = features(images)
            z = self._start(images, targets, bank)
        with torch.enable_grad():
            z = self._descend(generator, features, images, targets, z)
        with torch.no_grad():
            found = generator(z)
            return SearchResult(z, found, residual(images, found), feature_distance(targets, features(found)))

    def _start(self, images: Tensor, targets: Tensor, bank: Bank) -> Tensor:
        """The best of the bank for each image, (N, latent_dim); one by one: all pairs may not fit in memory."""
        best = [
            self.loss(residual(image, bank.images), feature_distance(target, bank.features)).argmin()
            for image, target in zip(images.unsqueeze(1), targets.unsqueeze(1), strict=True)
        ]
        return bank.z[torch.stack(best)].clone()

    def _descend(self, generator: nn.Module, features: Features, images: Tensor, targets: Tensor, z: Tensor) -> Tensor:
        z.requires_grad_(True)
        optimizer = torch.optim.Adam([z])
        for step in range(self.steps):
            optimizer.param_groups[0]["lr"] = self.learning_rate(step)
            reconstruction = generator(z)
            loss = self.loss(residual(images, reconstruction), feature_distance(targets, features(reconstruction)))
            (z.grad,) = torch.autograd.grad(loss.sum(), z)
            optimizer.step()
        return z.detach()
