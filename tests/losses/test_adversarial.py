"""The gamma mixture on five bins, where its optimum is known in closed form (Kimura & Yanagihara 2018, eq. 15-19)."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from semigan_pl.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    NonSaturating,
    Saturating,
    Wasserstein,
    check_gamma,
    discriminator_terms,
)

LOSSES = [cls(0.0, 1, 0.0) for cls in (NonSaturating, Saturating, Hinge, Wasserstein, LeastSquares)]
P_NORMAL = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
P_ANOMALOUS = np.array([0.0, 0.0, 0.1, 0.3, 0.6])
P_DATA = 0.9 * P_NORMAL + 0.1 * P_ANOMALOUS

# gamma, optimal p_g, water level kappa, value of the game at the optimum
OPTIMA = [
    (1.0, [0.36, 0.27, 0.19, 0.12, 0.06], 1.0, -1.386294),
    (0.95, [0.378947, 0.284211, 0.194737, 0.110526, 0.031579], 1.0, -1.386294),
    (0.9, [0.4, 0.3, 0.2, 0.1, 0.0], 1.0, -1.386294),
    (0.8, [0.421277, 0.315957, 0.197340, 0.065426, 0.0], 0.936170, -1.375111),
    (0.7, [0.448632, 0.336474, 0.193921, 0.020973, 0.0], 0.872340, -1.350805),
    (0.5, [0.482927, 0.362195, 0.154878, 0.0, 0.0], 0.670732, -1.270512),
]


def water_filled(gamma: float) -> tuple[np.ndarray, float]:
    """q* = max(kappa p_d, (1 - gamma) p_a) with mass 1, by bisection on kappa; and p_g* from it."""
    low, high = 0.0, 1.0
    for _ in range(200):
        kappa = (low + high) / 2
        mass = np.maximum(kappa * P_DATA, (1 - gamma) * P_ANOMALOUS).sum()
        low, high = (kappa, high) if mass < 1 else (low, kappa)
    q = np.maximum(kappa * P_DATA, (1 - gamma) * P_ANOMALOUS)
    return (q - (1 - gamma) * P_ANOMALOUS) / gamma, kappa


class Expectation:
    """The same loss over five bins, with exact expectations in place of batch means.

    Bin i is repeated in proportion to its probability: with 10^6 slots of a mean the project's own function is tested,
    not a copy of it. Weighted logits do the same exactly: `mean` of w * loss(f) over bins is what a batch would give.
    """

    def __init__(self, loss: AdversarialLoss) -> None:
        self.loss = loss

    def d_loss(self, logits: Tensor, p_g: Tensor, gamma: float, real_weight: float = 1.0) -> Tensor:
        p_d, p_a = torch.tensor(P_DATA), torch.tensor(P_ANOMALOUS)
        terms = discriminator_terms(_Weighted(self.loss, p_d, p_g, p_a), logits, logits, logits, gamma, real_weight)
        return sum(terms.values())  # type: ignore[return-value]


class _Weighted(AdversarialLoss):
    """Turns the batch mean over five bins into an expectation: 5 p(x) loss(f(x))."""

    def __init__(self, loss: AdversarialLoss, p_d: Tensor, p_g: Tensor, p_a: Tensor) -> None:
        super().__init__(0.0, 1, 0.0)
        object.__setattr__(self, "inner", loss)
        object.__setattr__(self, "fakes", [p_g, p_a])
        object.__setattr__(self, "p_d", p_d)

    def real(self, logits: Tensor) -> Tensor:
        return 5 * self.p_d * self.inner.real(logits)  # type: ignore[attr-defined]

    def fake(self, logits: Tensor) -> Tensor:
        p = self.fakes.pop(0)  # type: ignore[attr-defined]  # the generated side is asked first, then the known one
        return 5 * p * self.inner.fake(logits)  # type: ignore[attr-defined]

    def generator(self, logits: Tensor) -> Tensor:
        raise AssertionError("not asked here")


@pytest.mark.parametrize(("gamma", "p_g", "kappa", "value"), OPTIMA)
def test_water_filling_is_the_optimum_of_the_game(gamma: float, p_g: list[float], kappa: float, value: float) -> None:
    found, level = water_filled(gamma)
    np.testing.assert_allclose(found, p_g, atol=1e-6)
    assert level == pytest.approx(kappa, abs=1e-6)
    mixture = gamma * found + (1 - gamma) * P_ANOMALOUS
    logits = torch.tensor(np.log(P_DATA / mixture), requires_grad=True)  # f* = log p_d / p_N
    loss = Expectation(NonSaturating(0, 1, 0)).d_loss(logits, torch.tensor(found), gamma)
    assert -loss.item() == pytest.approx(value, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() < 1e-12


def test_optimum_differs_from_clipping_and_from_projection_where_the_formula_turns_negative() -> None:
    gamma = 0.7
    raw = (P_DATA - (1 - gamma) * P_ANOMALOUS) / gamma
    np.testing.assert_allclose(raw, [0.514286, 0.385714, 0.228571, 0.042857, -0.171429], atol=1e-6)
    clipped = np.maximum(raw, 0) / np.maximum(raw, 0).sum()
    assert np.abs(water_filled(gamma)[0] - clipped).max() > 5e-3


def test_literal_form_has_the_same_generator_and_another_discriminator() -> None:
    gamma, p_g = 0.9, torch.tensor(P_NORMAL)
    logits = torch.full((5,), math.log(gamma), dtype=torch.float64, requires_grad=True)  # D = gamma / (1 + gamma)
    loss = Expectation(NonSaturating(0, 1, 0)).d_loss(logits, p_g, gamma, real_weight=gamma)
    assert -loss.item() == pytest.approx(-1.314347, abs=1e-6)
    assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-12


def test_fixed_generator_of_the_specification() -> None:
    logits = torch.tensor([0.251314, 0.251314, 0.111226, -0.287682, -1.098612], dtype=torch.float64, requires_grad=True)
    loss = Expectation(NonSaturating(0, 1, 0)).d_loss(logits, torch.tensor(P_NORMAL), 0.7)
    assert -loss.item() == pytest.approx(-1.342704, abs=1e-6)
    assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("loss", "gamma"),
    [(NonSaturating(0, 1, 0), gamma) for gamma in (1.0, 0.9, 0.7, 0.5)]
    + [(Saturating(0, 1, 0), 0.7), (LeastSquares(0, 1, 0), 0.7)],
)
def test_alternating_game_reaches_the_optimum(loss: AdversarialLoss, gamma: float) -> None:
    """Softmax generator and five logits, alternating steps on exact expectations: p_g ends at the optimum."""
    f = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    g = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    game = Expectation(loss)
    optimizer_d = torch.optim.Adam([f], lr=0.05, betas=(0.5, 0.99))
    optimizer_g = torch.optim.Adam([g], lr=0.01, betas=(0.5, 0.99))
    for step in range(2000):
        optimizer_d.param_groups[0]["lr"], optimizer_g.param_groups[0]["lr"] = (
            rate * 0.998**step for rate in (0.05, 0.02)
        )
        optimizer_d.zero_grad()
        game.d_loss(f, g.detach().softmax(0), gamma).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        (g.softmax(0) * loss.generator(f.detach())).sum().backward()
        optimizer_g.step()
    np.testing.assert_allclose(g.detach().softmax(0).numpy(), water_filled(gamma)[0], atol=3e-3)


def test_anomalous_mass_falls_with_gamma() -> None:
    masses = [water_filled(gamma)[0][4] for gamma in (1.0, 0.98, 0.95, 0.92, 0.9)]
    assert all(later < earlier for earlier, later in pairwise(masses))
    assert masses[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda x: type(x).__name__)
def test_terms_are_the_weighted_means_and_their_gradients_are_right(loss: AdversarialLoss) -> None:
    generator = torch.Generator().manual_seed(0)
    # away from the corners of the hinge, where no derivative exists
    real, fake, known = (torch.randn(6, generator=generator, dtype=torch.float64) * 0.3 + 0.1 for _ in range(3))
    terms = discriminator_terms(loss, real, fake, known, 0.7, 1.0)
    torch.testing.assert_close(terms["d_adversarial"], loss.real(real).mean() + 0.7 * loss.fake(fake).mean())
    torch.testing.assert_close(terms["d_known_anomalies"], 0.3 * loss.fake(known).mean())
    inputs = [x.requires_grad_() for x in (real, fake, known)]

    def whole(real: Tensor, fake: Tensor, known: Tensor) -> Tensor:
        return torch.stack(list(discriminator_terms(loss, real, fake, known, 0.7, 1.0).values())).sum()

    assert torch.autograd.gradcheck(whole, inputs)
    assert torch.autograd.gradcheck(loss.generator, [fake])


def test_wasserstein_does_not_see_a_shift_of_the_critic() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake, known = (torch.randn(8, generator=generator, dtype=torch.float64) for _ in range(3))
    for gamma in (1.0, 0.7, 0.3):
        losses = [
            sum(discriminator_terms(Wasserstein(10, 1, 0), real + c, fake + c, known + c, gamma, 1.0).values())
            for c in (0.0, 5.0)
        ]
        torch.testing.assert_close(losses[0], losses[1])


def test_drift_holds_the_critic_near_zero() -> None:
    real = torch.tensor([2.0, 4.0])
    terms = discriminator_terms(Wasserstein(10.0, 1, 0.001), real, real, None, 1.0, 1.0)
    assert terms["d_drift"].item() == pytest.approx(0.001 * 10)


def test_gamma_one_ignores_known_anomalies() -> None:
    known = torch.randn(4, requires_grad=True)
    terms = discriminator_terms(NonSaturating(0, 1, 0), torch.randn(4), torch.randn(4), known, 1.0, 1.0)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert known.grad is not None
    assert torch.equal(known.grad, torch.zeros(4))


@pytest.mark.parametrize("gamma", [0, -0.1, 1.1, math.nan])
def test_gamma_outside_its_range_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=r"model\.gamma"):
        check_gamma(gamma)
