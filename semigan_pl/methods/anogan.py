"""AnoGAN (Schlegl et al. 2017) and semi-supervised AnoGAN (Kimura & Yanagihara 2018).

One class for both: the proposed method is AnoGAN trained with gamma < 1, and the gamma mixture belongs to every
adversarial method here. `model=anogan` fixes gamma = 1, `model=semigan` shows the discriminator known anomalies.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from semigan_pl.latent_search import Bank, LatentSearch
from semigan_pl.losses.distances import anomaly_map
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.types import Inspection


class AnoGAN(AdversarialModule):
    """A GAN whose latents are searched for each image; what the generator cannot draw is anomalous.

    Terms, (N,) each: `residual` L_R and `discrimination` L_D at the found z, `anogan` = (1 - lambda) L_R + lambda L_D
    (the paper's score, equation 4), and `critic` = -f(x), the discriminator's own verdict.

    Args:
        search: finds z.
        **base: the arguments of AdversarialModule.
    """

    terms = ("residual", "discrimination", "anogan", "critic")

    def __init__(self, search: LatentSearch, **base: Any) -> None:
        super().__init__(**base)
        self.search = search
        self.bank: Bank | None = None

    def begin_inspection(self) -> None:
        self.bank = self.search.bank(self.best_generator, self._features)

    def inspect(self, images: Tensor) -> Inspection:
        assert self.bank is not None, "predict() begins the inspection"
        found = self.search(self.best_generator, self._features, images, self.bank)
        with torch.no_grad():
            critic = -self.discriminator(images)
        return Inspection(
            terms={
                "residual": found.residual,
                "discrimination": found.discrimination,
                "anogan": self.search.loss(found.residual, found.discrimination),
                "critic": critic,
            },
            anomaly_map=anomaly_map(images, found.reconstruction),
            reconstruction=found.reconstruction,
        )

    def inspection_seconds(self, images: Tensor) -> float:
        """Measures a few search steps and multiplies."""
        whole, seconds = self.search, []
        try:
            for steps in (0, min(5, whole.steps)):
                self.search = dataclasses.replace(whole, steps=steps)
                seconds.append(super().inspection_seconds(images))
        finally:
            few, self.search = self.search.steps, whole
        return seconds[0] + max(0.0, seconds[1] - seconds[0]) * whole.steps / max(1, few)

    def _features(self, images: Tensor) -> Tensor:
        """f_l(x), (N, F)."""
        features: Tensor = self.discriminator.features(images)  # type: ignore[operator]
        return features
