"""Where a search begins."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from semigan_pl.latent_search.objective import Objective

STARTS = ("best", "nearest", "encoder")
THUMBNAIL = 32  # px; larger images are compared at this size, so that a bank of them fits into memory

NO_ENCODER = "search.start=encoder needs an encoder, and this model has none: add encoding=izi_f, which trains one"

Encoder = Callable[[Tensor], Tensor]


class Starts:
    """Prior samples, the same for all images, and which of them each image starts from.

    Args:
        kind: best: those with the lowest loss L. nearest: those whose features are nearest, by Euclidean distance.
            encoder: what an encoder guesses.
        samples: how many prior samples there are; a single one is AnoGAN's start.
        restarts: how many starts each image gets; with an encoder its guess and the best samples.
        seed: of the samples.
        objective: what the search minimises.
        generator: offers `sample_latents`.
        encoder: images (N, C, H, W) to latents (N, latent_dim).
    """

    def __init__(
        self,
        kind: str,
        samples: int,
        restarts: int,
        seed: int,
        objective: Objective,
        generator: nn.Module,
        encoder: Encoder | None,
    ) -> None:
        self.kind, self.objective, self.encoder = kind, objective, encoder
        if kind == "encoder" and encoder is None:
            raise ValueError(NO_ENCODER)
        self.from_bank = restarts - (kind == "encoder")
        if not self.from_bank:
            return
        noise = torch.Generator(device="cpu").manual_seed(seed)
        z = generator.sample_latents(samples, noise)  # type: ignore[operator]
        self.z = z.to(next(generator.parameters()).device)  # (K, latent_dim)
        made = [(self._thumbnails(images), features) for images, features in objective.generate(self.z)]
        self.images, self.features = (torch.cat(parts) for parts in zip(*made, strict=True))

    @torch.no_grad()
    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Latents to start from, (N, restarts, latent_dim), for images (N, C, H, W) with features `targets` (N, F)."""
        found = []
        if self.kind == "encoder":
            found.append(self._guess(images)[:, None])
        if self.from_bank:
            distances = self._distances(images, targets)
            found.append(self.z[distances.topk(self.from_bank, dim=1, largest=False).indices])
        return torch.cat(found, 1)

    def _guess(self, images: Tensor) -> Tensor:
        assert self.encoder is not None
        return torch.cat([self.encoder(part)[:n] for part, n in self.objective.batches(images)])

    def _distances(self, images: Tensor, targets: Tensor) -> Tensor:
        """Between images and samples, (N, K)."""
        if len(self.z) == self.from_bank:
            return torch.zeros(len(images), len(self.z), device=images.device)
        if self.kind == "nearest":
            return torch.cdist(targets, self.features, compute_mode="donot_use_mm_for_euclid_dist")
        loss = self.objective.loss
        pixels = loss.between_all(self._thumbnails(images), self.images)
        return loss(self.z, pixels, loss.between_all(targets, self.features))

    def _thumbnails(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) as vectors of at most 32 x 32 pixels, between which distances are about the images' own.

        Exact for images that are no larger.
        """
        factor = max(1, images.shape[-1] // THUMBNAIL)
        if factor > 1:  # a pixel stands for factor^2 of them
            images = avg_pool2d(images, factor) * (factor if self.objective.loss.distance == "squared" else factor**2)
        return images.flatten(1)
