"""Adversarial losses, each as three functions of logits f(x), and the gamma mixture of known anomalies.

A loss says what a logit costs the discriminator on the real side (`real`), on the fake side (`fake`), and what the
generator pays for its images (`generator`); all per image, (N,) -> (N,). The mixture of Kimura & Yanagihara (2018) is
written once for all of them:

    L_D = mean real(f(x_r)) + gamma mean fake(f(G(z))) + (1 - gamma) mean fake(f(x_a))

which is the balanced reading of their equations (15)-(17): the fake side is p_N = gamma p_g + (1 - gamma) p_a. Read
literally, their (15) weighs the real term by gamma too; both have the same optimal generator (`real_weight`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

from semigan_pl.checks import is_number, number, shown, whole


@dataclass(frozen=True)
class AdversarialLoss(ABC):
    """What both players pay, and the regularisers that belong to the loss.

    gradient_penalty: weight of the WGAN-GP penalty, 0 = none.
    penalty_every: discriminator steps per penalty; with more than 1 it is lazy (Karras et al. 2020): so many times the
        weight, every so many steps.
    drift: weight of mean f(x_r)^2 (Karras et al. 2018).
    """

    gradient_penalty: float
    penalty_every: int
    drift: float

    def __post_init__(self) -> None:
        number("loss.gradient_penalty", self.gradient_penalty, least=0)
        whole("loss.penalty_every", self.penalty_every, least=1)
        number("loss.drift", self.drift, least=0)

    def penalty_weight(self, step: int) -> float:
        """Weight of the gradient penalty in the discriminator's step number `step`, counted from 0."""
        return 0.0 if step % self.penalty_every else self.gradient_penalty * self.penalty_every

    @abstractmethod
    def real(self, logits: Tensor) -> Tensor:
        """Cost to the discriminator of real images with these logits."""

    @abstractmethod
    def fake(self, logits: Tensor) -> Tensor:
        """Cost to the discriminator of generated images, or of known anomalies, with these logits."""

    @abstractmethod
    def generator(self, logits: Tensor) -> Tensor:
        """Cost to the generator of its images with these logits."""


class Saturating(AdversarialLoss):
    """The minimax game of Goodfellow et al. (2014), equation (1) of the paper."""

    def real(self, logits: Tensor) -> Tensor:
        return softplus(-logits)

    def fake(self, logits: Tensor) -> Tensor:
        return softplus(logits)

    def generator(self, logits: Tensor) -> Tensor:
        return -softplus(logits)


class NonSaturating(AdversarialLoss):
    """Same discriminator; the generator minimises -log D(G(z)), whose gradient does not vanish early."""

    def real(self, logits: Tensor) -> Tensor:
        return softplus(-logits)

    def fake(self, logits: Tensor) -> Tensor:
        return softplus(logits)

    def generator(self, logits: Tensor) -> Tensor:
        return softplus(-logits)


class Hinge(AdversarialLoss):
    """Hinge loss (Lim & Ye 2017); the optimal f is sign(p_d - p_N)."""

    def real(self, logits: Tensor) -> Tensor:
        return relu(1 - logits)

    def fake(self, logits: Tensor) -> Tensor:
        return relu(1 + logits)

    def generator(self, logits: Tensor) -> Tensor:
        return -logits


class Wasserstein(AdversarialLoss):
    """Critic of Arjovsky et al. (2017); its weights sum to zero, so f + c costs the same as f."""

    def real(self, logits: Tensor) -> Tensor:
        return -logits

    def fake(self, logits: Tensor) -> Tensor:
        return logits

    def generator(self, logits: Tensor) -> Tensor:
        return -logits


class LeastSquares(AdversarialLoss):
    """LSGAN (Mao et al. 2017) with targets 1 and 0; f* = p_d / (p_d + p_N)."""

    def real(self, logits: Tensor) -> Tensor:
        return (logits - 1).square() / 2

    def fake(self, logits: Tensor) -> Tensor:
        return logits.square() / 2

    def generator(self, logits: Tensor) -> Tensor:
        return (logits - 1).square() / 2


def check_gamma(gamma: float) -> None:
    """Raises ValueError unless 0 < gamma <= 1: at 0 the generator would get no gradient."""
    if not (is_number(gamma) and 0 < gamma <= 1):
        raise ValueError(
            f"model.gamma={shown(gamma)} is outside (0, 1]; 1 ignores known anomalies, smaller excludes more"
        )


def discriminator_terms(
    loss: AdversarialLoss, real: Tensor, fake: Tensor, known: Tensor | None, gamma: float, real_weight: float
) -> dict[str, Tensor]:
    """The gamma mixture as named scalars whose sum is L_D (drift and penalty are added by the method).

    Args:
        real, fake: logits (N,) of unlabelled and of generated images.
        known: logits (M,) of known anomalies; None exactly when gamma is 1.
        real_weight: weight of the real term: 1 for the balanced form, gamma for the literal one.
    """
    terms = {"d_adversarial": real_weight * loss.real(real).mean() + gamma * loss.fake(fake).mean()}
    if known is not None:
        terms["d_known_anomalies"] = (1 - gamma) * loss.fake(known).mean()
    if loss.drift > 0:
        terms["d_drift"] = loss.drift * real.square().mean()
    return terms
