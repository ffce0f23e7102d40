"""AnoGAN (Schlegl et al. 2017) and semi-supervised AnoGAN (Kimura & Yanagihara 2018).

One class for both: the proposed method is AnoGAN trained with gamma < 1, and the gamma mixture belongs to every
adversarial method here. `model=anogan` fixes gamma = 1, `model=semigan` shows the discriminator known anomalies.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from semigan_pl.latent_search import LatentSearch, PreparedSearch, filled, frozen
from semigan_pl.latent_search.freezing import weights_version
from semigan_pl.latent_search.starts import NO_ENCODER
from semigan_pl.losses.distances import anomaly_map
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.types import Inspection


class AnoGAN(AdversarialModule):
    """A GAN whose latents are searched for each image; what the generator cannot draw is anomalous.

    Terms, (N,) each: `residual` L_R and `discrimination` L_D at the found z (their square roots where search.distance
    is squared: what `fused` adds up should not grow faster than the critic), `anogan` = L, what was minimised (with
    search=paper the paper's score, equation 4), and `critic` = -f(x), the discriminator's own verdict.

    Args:
        search: finds z.
        **base: the arguments of AdversarialModule.
    """

    terms = ("residual", "discrimination", "anogan", "critic")

    def __init__(self, search: LatentSearch, **base: Any) -> None:
        super().__init__(**base)
        if search.start == "encoder" and self.encoding is None:  # said now, not after the training
            raise ValueError(NO_ENCODER)
        if search.prior and not getattr(self.generator, "latents_are_normal", False):
            raise ValueError(
                f"search.prior={search.prior} is for latents of a normal prior, which this generator does not have: set"
                " search.prior=0 (progressive networks, or a uniform prior)"
            )
        self.search = search
        self._prepared: tuple[Any, PreparedSearch] | None = None  # for which weights and images

    def prepared(self, shape: tuple[int, ...]) -> PreparedSearch:
        """The search in the networks as they are, for images of a shape; prepared once for many calls."""
        encoder = self.encoding.encoder if self.encoding is not None else None
        networks = [self.best_generator, self.discriminator, *([encoder] if encoder is not None else [])]
        key = (self.search, shape, self.block_size, weights_version(*networks))
        if self._prepared is None or self._prepared[0] != key:
            search = self.search.prepare(self.best_generator, self.discriminator, shape, encoder, self.block_size)
            self._prepared = key, search
        return self._prepared[1]

    def inspect(self, images: Tensor) -> Inspection:
        found = self.prepared(tuple(images.shape[1:]))(images)
        with torch.no_grad():
            critic = -self.discriminator(filled(images, self.block_size))[: len(images)]
        return Inspection(
            terms={
                "residual": self.search.loss.length(found.residual),
                "discrimination": self.search.loss.length(found.discrimination),
                "anogan": found.loss,
                "critic": critic,
            },
            anomaly_map=anomaly_map(images, found.reconstruction),
            reconstruction=found.reconstruction,
        )

    def _inspect_block(self, block: Tensor) -> Inspection:
        """As many searches as there are images: the search fills up its own batches."""
        return self.inspect(block)

    def inspection_seconds(self, images: Tensor) -> float:
        """Measures a few search steps from few samples and multiplies; what is prepared once is not counted."""
        whole, seconds = self.search, []
        starts = max(whole.restarts, min(whole.starts, 16))
        try:
            for steps in (0, min(5, whole.steps)):
                self.search = dataclasses.replace(whole, steps=steps, starts=starts)
                with frozen(self):
                    self.prepared(tuple(images.shape[1:]))
                seconds.append(super().inspection_seconds(images))
        finally:
            few, self.search = self.search.steps, whole
        return seconds[0] + max(0.0, seconds[1] - seconds[0]) * whole.steps / max(1, few)
