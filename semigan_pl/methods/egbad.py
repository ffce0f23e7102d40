"""EGBAD (Zenati et al. 2018): a BiGAN, whose encoder learns with the generator, from the discriminator alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from semigan_pl.checks import number
from semigan_pl.latent_search import frozen
from semigan_pl.losses.distances import anomaly_map, feature_distance, residual
from semigan_pl.methods.adversarial import ENCODER, GENERATOR, AdversarialModule
from semigan_pl.types import Batch, Inspection


class EGBAD(AdversarialModule):
    """Generator and encoder against a discriminator of pairs: (x, E(x)) is its real side, (G(z), z) its fake one.

    Where the discriminator cannot tell p_d(x) q(z|x) from p_g(x|z) p(z), G and E are each other's inverse. All pay by
    one adversarial loss: D as ever, G `loss.generator` of its pairs, E `loss.fake` of its own: what they would cost D
    on the fake side, so that they go there. With loss=nonsaturating these are the reference's BCE(D(x, E(x)), 1) +
    BCE(D(G(z), z), 0), BCE(D(G(z), z), 1) and BCE(D(x, E(x)), 0); for other losses E's share is ours.

    Known anomalies (ours): at gamma < 1 pairs (x_a, E(x_a)) stand on the fake side with weight 1 - gamma, beside G's
    with gamma. D then compares p_d(x) q(z|x) with gamma p_g(x|z) p(z) + (1 - gamma) p_a(x) q(z|x). With q the same on
    both sides, G's best joint is (p_d(x) - (1 - gamma) p_a(x)) q(z|x) / gamma where that is not negative: integrated
    over z the optimum of Kimura & Yanagihara (2018) in images. E pays for its unlabelled pairs alone, and encodes
    anomalies by its running statistics, which they do not move.

    Terms, (N,) each, with w = `weight`:
        residual: L_G = ||x - G(E(x))||_1
        matching: L_D = ||f_D(x, E(x)) - f_D(G(E(x)), E(x))||_1
        egbad: (1 - w) L_G + w L_D, the reference's score
        crossentropy: (1 - w) L_G + w BCE(D(x, E(x)), 1), its other one, as the paper has it; the reference's code puts
            D(G(E(x)), E(x)) there, which never looks at x. BCE takes f as a log-odds, whatever the loss.
        critic: -f(x, E(x))

    G and E are averaged over the training for all of them, as in the reference; D is as it is (ours). The encoder and
    the latents' part of D do not grow: progressive networks work at their full size.

    Args:
        encoder: images (N, C, H, W) to latents (N, latent_dim).
        weight: w of the discriminator's part, in [0, 1]; 0.1 in the paper.
        **base: the arguments of AdversarialModule; the discriminator is one of pairs (JointDiscriminator).
    """

    terms = ("residual", "matching", "egbad", "crossentropy", "critic")
    opponents = (GENERATOR, ENCODER)
    encodes = False
    grows = False

    def __init__(self, encoder: nn.Module, weight: float, **base: Any) -> None:
        super().__init__(**base)
        self.weight = number("model.weight", weight, least=0, most=1)
        self.encoder: nn.Module = encoder.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.ema_encoder = copy.deepcopy(self.encoder).requires_grad_(False)

    @property
    def best_encoder(self) -> nn.Module:
        """What scores are made with: the averaged encoder where one is kept."""
        return self.ema_encoder if self.averaged else self.encoder

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        return [*super().averages(), (self.ema_encoder, self.encoder)]

    def pair(self, images: Tensor, z: Tensor) -> Tensor:
        """Images and their latents as the discriminator takes them."""
        pairs: Tensor = self.discriminator.pair(images, z)  # type: ignore[operator]
        return pairs

    def fakes(self, real: Tensor) -> Tensor:
        """Pairs (G(z), z)."""
        z = self.generator_inputs(real)
        return self.pair(self.generator(z), z)

    def logits(self, images: Tensor) -> Tensor:
        return super().logits(self.pair(images, self.encoder(images)))

    def logits_of_generated(self, images: Tensor, inputs: Tensor) -> Tensor:
        return super().logits(self.pair(images, inputs))

    def discriminator_terms(self, batch: Batch) -> dict[str, Tensor]:
        real, known = batch.unlabelled, batch.known_anomalies
        with torch.no_grad():
            pairs = self.pair(real, self.encoder(real))
            if self.gamma < 1:
                with frozen(self.encoder):
                    pairs = torch.cat([pairs, self.pair(known, self.encoder(known))])
        places = torch.arange(len(pairs), device=pairs.device)
        return super().discriminator_terms(Batch(pairs, (places >= len(real)).long(), places))

    def encoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Of unlabelled images: known anomalies are not what an encoder should learn to pass for generated."""
        real = batch.unlabelled
        return {"e_adversarial": self.loss.fake(self.discriminator(self.pair(real, self.encoder(real)))).mean()}

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        discriminator: Any = self.discriminator
        z = self.best_encoder(images)
        drawn = self.best_generator(z)
        features = discriminator.features(self.pair(images, z))
        logits = discriminator.verdict(features)
        difference = residual(images, drawn)
        matching = feature_distance(features, discriminator.features(self.pair(drawn, z)))
        return Inspection(
            terms={
                "residual": difference,
                "matching": matching,
                "egbad": (1 - self.weight) * difference + self.weight * matching,
                "crossentropy": (1 - self.weight) * difference + self.weight * softplus(-logits),
                "critic": -logits,
            },
            anomaly_map=anomaly_map(images, drawn),
            reconstruction=drawn,
        )
