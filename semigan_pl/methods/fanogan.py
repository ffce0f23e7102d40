"""f-AnoGAN (Schlegl et al. 2019): an encoder guesses the latent that AnoGAN would search for, in one forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from semigan_pl.losses.distances import anomaly_map
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.methods.encoding import mean_squared_difference
from semigan_pl.types import Inspection


class FAnoGAN(AdversarialModule):
    """A GAN with an encoder; what G(E(x)) does not show is anomalous.

    Terms, (N,) each: `residual` A_R = 1/n ||x - G(E(x))||^2 and `discrimination` A_D = 1/n_f ||f(x) - f(G(E(x)))||^2,
    `fanogan` = A_R + kappa A_D (the paper's score), `encoding` = 1/d ||E(x) - E(G(E(x)))||^2, and `critic` = -f(x).

    Args:
        **base: the arguments of AdversarialModule; with an encoding.
    """

    terms = ("residual", "discrimination", "fanogan", "encoding", "critic")

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        if self.encoding is None:
            raise ValueError("f-AnoGAN needs an encoder: leave out encoding=none, or choose encoding=izi_f, izi or ziz")

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        assert self.encoding is not None
        discriminator: Any = self.discriminator
        z = self.encoding.encoder(images)
        drawn = self.best_generator(z)
        features = discriminator.features(images)
        residual = mean_squared_difference(images, drawn)
        discrimination = mean_squared_difference(features, discriminator.features(drawn))
        return Inspection(
            terms={
                "residual": residual,
                "discrimination": discrimination,
                "fanogan": residual + self.encoding.kappa * discrimination,
                "encoding": mean_squared_difference(z, self.encoding.encoder(drawn)),
                "critic": -discriminator.verdict(features),
            },
            anomaly_map=anomaly_map(images, drawn),
            reconstruction=drawn,
        )
