"""GAN (Goodfellow et al. 2014) as a detector: the discriminator's own verdict, nothing reconstructed."""

from __future__ import annotations

import torch
from torch import Tensor

from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.types import Inspection


class GAN(AdversarialModule):
    """Generates images; its only term is `critic` = -f(x). It has no anomaly map and no reconstruction."""

    terms = ("critic",)

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        return Inspection({"critic": -self.discriminator(images)})
