"""GANomaly (Akcay et al. 2018): an image is redrawn; how much its code changes by that says how anomalous it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, shown
from semigan_pl.latent_search.freezing import folded, weights_version
from semigan_pl.losses.distances import anomaly_map, residual
from semigan_pl.methods.adversarial import GENERATOR, AdversarialModule
from semigan_pl.types import Batch, Inspection

PARTS = ("adversarial", "contextual", "encoding")


def generator_losses(
    images: Tensor, redrawn: Tensor, features: Tensor, redrawn_features: Tensor, z: Tensor, again: Tensor
) -> dict[str, Tensor]:
    """L_adv, L_con and L_enc as scalars.

    The paper writes norms, ||f(x) - f(G(x))||_2, ||x - G(x)||_1 and ||G_E(x) - E(G(x))||_2; its code, whose weights
    1, 50 and 1 belong to it, takes means over all numbers of the batch: of squares, of absolute values, of squares. So
    does this.

    Args:
        images, redrawn: x and G(x), (N, C, H, W).
        features, redrawn_features: f(x) and f(G(x)), (N, F).
        z, again: G_E(x) and E(G(x)), (N, latent_dim).
    """
    return {
        "adversarial": (features - redrawn_features).square().mean(),
        "contextual": (images - redrawn).abs().mean(),
        "encoding": (z - again).square().mean(),
    }


def latent_score(z: Tensor, again: Tensor, norm: str) -> Tensor:
    """Distance between the codes before and after, (N, latent_dim) each -> (N,).

    l1: the sum of absolute differences, ||G_E(x) - E(G(x))||_1, the paper's. l2: the mean of squares, its code's.
    """
    return (z - again).abs().sum(1) if norm == "l1" else (z - again).square().mean(1)


class _Drawn(NamedTuple):
    """What the generator's step has computed that the discriminator's step needs too."""

    redrawn: Tensor  # (N, C, H, W), without its graph
    opinions: tuple[Tensor, Tensor] | None  # f(x), f(G(x)), (N,) each, with the discriminator's graph; None: not kept


class GANomaly(AdversarialModule):
    """Encoder, decoder and second encoder against a discriminator whose features they match.

    L_G = w_adv ||f(x) - f(G(x))||_2 + w_con ||x - G(x)||_1 + w_enc ||G_E(x) - E(G(x))||_2, see `generator_losses`; the
    discriminator tells x from G(x) by its own loss (the paper's is loss=nonsaturating). The generator moves first, and
    the discriminator judges what was drawn for that step, as in the reference: no image is redrawn twice. Nor does one
    pass the discriminator twice: its weights are the same in both steps, so the verdict is made of the features that
    the generator has to match (the reference computes them again; the gradients are the same). The verdict is computed
    anew where a step's batch comes in micro-batches, whose graphs would fill the memory, and on several processes,
    which average BatchNorm's statistics, part of those graphs, between the two steps.

    Known anomalies (ours): at gamma < 1 the discriminator's fake side is gamma p_G + (1 - gamma) p_a, the mixture that
    all adversarial methods share; with loss=nonsaturating D = p_d / (p_d + gamma p_G + (1 - gamma) p_a). But G is not
    paid by D's verdict, so the optimum of Kimura & Yanagihara (2018) is not where it goes: G(x) = x costs it nothing at
    any gamma. What known anomalies change is f, which now tells them from the rest, thus what G has to keep of
    unlabelled images (it never sees others); and the critic, which `fused` listens to.

    Scores are made in eval mode, by running statistics: the reference tests in training mode, where an image's score
    depends on its batch. Nor is the discriminator initialised anew when it wins, or an epoch chosen on test data.

    Terms, (N,) each: `latent` (the paper's score, see `latent_score`), `residual` = ||x - G(x)||_1, `critic` = -f(x).
    The critic is a quarter of the scoring's work: it is left out where the decision does not name it
    (model.decision.critic=null).

    Args:
        weights: of L_G's parts, {"adversarial": ..., "contextual": ..., "encoding": ...}; 1, 50 and 1 in the paper.
        latent_norm: l1 or l2, of the score.
        **base: the arguments of AdversarialModule; the generator is a BowTie.
    """

    terms: tuple[str, ...] = ("latent", "residual", "critic")
    encodes = False
    pays_by_verdict = False
    grows = False

    def __init__(self, weights: Mapping[str, float], latent_norm: str, **base: Any) -> None:
        super().__init__(**base)
        if latent_norm not in ("l1", "l2"):
            raise ValueError(f"model.latent_norm={shown(latent_norm)} is unknown: use l1 (the paper's) or l2")
        self.latent_norm = latent_norm
        self.weights = {part: number(f"model.weights.{part}", weights[part], least=0) for part in PARTS}
        if "critic" not in (self.decision.score, self.decision.search, self.decision.critic):
            self.terms = ("latent", "residual")
        self._quick: tuple[Any, nn.Module] | None = None  # the generator that inspects, and of which weights it is made
        self._drawn: dict[int, _Drawn] = {}  # by the generator's step on this batch, micro-batch by micro-batch

    def turn(self) -> tuple[str, ...]:
        self._drawn.clear()
        return super().turn()[::-1]

    def hands_on(self, player: str) -> bool:
        return player == GENERATOR and self._micro_batch[1] == 1 and self._process()[1] == 1

    def generator_inputs(self, real: Tensor) -> Tensor:
        return real

    def opinions(self, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the generator's step on these images has left them, if it has moved."""
        drawn = self._drawn.pop(self._micro_batch[0], None)
        if drawn is None:
            return super().opinions(real)
        of_both = drawn.opinions or (self.discriminator(real), self.discriminator(drawn.redrawn))
        return drawn.redrawn, *of_both

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_G term by term, of unlabelled images."""
        discriminator: Any = self.discriminator
        images = batch.unlabelled
        redrawn, z, again = self.generator.codes(images)  # type: ignore[operator]
        kept = self.hands_on(GENERATOR)
        if kept:  # not for this step, whose gradients go to the generator, but for the next
            discriminator.requires_grad_(True)
        features, redrawn_features = discriminator.features(images), discriminator.features(redrawn)
        of_both = (discriminator.verdict(features), discriminator.verdict(redrawn_features)) if kept else None
        self._drawn[self._micro_batch[0]] = _Drawn(redrawn.detach(), of_both)
        losses = generator_losses(images, redrawn, features.detach(), redrawn_features, z, again)
        return {f"g_{part}": self.weights[part] * loss for part, loss in losses.items()}

    def quick_generator(self) -> Any:
        """The best generator without its BatchNorms, which are folded into its convolutions."""
        version = weights_version(self.best_generator)
        if self._quick is None or self._quick[0] != version:
            self._quick = version, folded(self.best_generator).to(memory_format=self.layout)  # type: ignore[call-overload]
        return self._quick[1]

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        redrawn, z, again = self.quick_generator().codes(images)
        terms = {"latent": latent_score(z, again, self.latent_norm), "residual": residual(images, redrawn)}
        if "critic" in self.terms:
            terms["critic"] = -self.logits(images)
        return Inspection(terms, anomaly_map(images, redrawn), redrawn)
