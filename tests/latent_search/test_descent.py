"""Descents on functions whose minimum is known, and against torch's own optimizer."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from semigan_pl.latent_search.descent import LBFGS, Adam, Descent, GradientDescent


class Bowls:
    """f_i(z) = 1/2 (z - c_i)^T A_i (z - c_i), a bowl of its own for every row."""

    def __init__(self, n: int, d: int, steepest: float) -> None:
        noise = torch.Generator().manual_seed(0)
        basis, _ = torch.linalg.qr(torch.randn(n, d, d, generator=noise))
        curvature = torch.logspace(0, torch.tensor(steepest).log10().item(), d)
        self.hessian = basis @ torch.diag_embed(curvature.expand(n, d)) @ basis.transpose(1, 2)
        self.centre = torch.randn(n, d, generator=noise)

    def __call__(self, z: Tensor, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        away = z - self.centre[rows]
        gradient = (self.hessian[rows] @ away[:, :, None]).squeeze(2)
        return 0.5 * (away * gradient).sum(1), gradient


def descend(descent: Descent, bowls: Bowls, steps: int, rows: slice = slice(None)) -> Tensor:
    z = torch.zeros_like(bowls.centre[rows])
    state = descent.begin(z)
    for step in range(steps):
        taken = torch.full((len(z),), step)
        rate = torch.full((len(z),), descent.learning_rate(step, steps))
        z = descent.step(state, z, *bowls(z, rows), taken, rate)
    return z


def test_adam_is_torchs_adam() -> None:
    bowls = Bowls(5, 4, 10.0)
    ours = descend(Adam([0.9, 0.999], 1e-8, {0: 0.1, 0.5: 0.01}), bowls, 200)
    z = torch.zeros_like(bowls.centre).requires_grad_(True)
    optimizer = torch.optim.Adam([z], betas=(0.9, 0.999))
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 100 else 0.01
        z.grad = bowls(z.detach())[1]
        optimizer.step()
    torch.testing.assert_close(ours, z.detach(), atol=1e-5, rtol=1e-5)


def test_adam_without_momentum_is_defined() -> None:
    assert descend(Adam([0.0, 0.99], 1e-8, {0: 0.1}), Bowls(5, 4, 10.0), 20).isfinite().all()


def test_gradient_descent_takes_its_step() -> None:
    bowls = Bowls(3, 4, 10.0)
    z = descend(GradientDescent({0: 0.05}), bowls, 1)
    torch.testing.assert_close(z, -0.05 * bowls(torch.zeros_like(bowls.centre))[1])


@pytest.mark.parametrize("history", [2, 8])
def test_lbfgs_finds_the_bottom_of_a_narrow_bowl(history: int) -> None:
    """Where plain gradients still stand on the slope: the narrowest direction is a hundred times as steep."""
    bowls = Bowls(20, 6, 100.0)
    start = bowls(torch.zeros_like(bowls.centre))[0]
    found = bowls(descend(LBFGS(history, 1e-4, {0: 1.0}), bowls, 60))[0]
    plain = bowls(descend(GradientDescent({0: 0.01}), bowls, 60))[0]
    assert (found < 1e-6 * start).all()
    assert (plain > 1e-4 * start).any()


def test_a_lbfgs_step_that_does_not_lower_the_loss_is_taken_back() -> None:
    """A first step far too long is shortened, always from the same point, until the loss falls."""
    bowls = Bowls(1, 3, 4.0)
    descent, z = LBFGS(4, 1e-4, {0: 1000.0}), torch.zeros(1, 3)
    state, tried = descent.begin(z), []
    for step in range(12):
        z = descent.step(state, z, *bowls(z), torch.tensor([step]), torch.tensor([1000.0]))
        tried.append(z.clone())
    first = -bowls(torch.zeros(1, 3))[1]
    for z, length in zip(tried[:3], (1000, 100, 10), strict=True):  # a tenth is the least that is left
        torch.testing.assert_close(z, length * first / first.norm(), rtol=1e-4, atol=1e-4)
    assert float(state["loss"]) < float(bowls(torch.zeros(1, 3))[0])


def test_a_step_too_long_is_shortened_to_the_bottom_of_the_parabola() -> None:
    """In a bowl the parabola is the loss itself: the second try is the lowest point of the line."""
    bowls = Bowls(4, 3, 1.0)
    descent, z = LBFGS(4, 1e-4, {0: 1.0}), torch.zeros(4, 3)
    state, rate = descent.begin(z), 5 * bowls.centre.norm(dim=1)
    for step in range(2):
        z = descent.step(state, z, *bowls(z), torch.full((4,), step), rate)
    torch.testing.assert_close(z, bowls.centre, rtol=1e-4, atol=1e-4)


def test_lbfgs_remembers_nothing_of_a_loss_that_curves_downwards() -> None:
    descent, z = LBFGS(4, 1e-4, {0: 0.1}), torch.ones(2, 3)
    state = descent.begin(z)
    for step in range(10):
        z = descent.step(state, z, -0.5 * z.square().sum(1), -z, torch.full((2,), step), torch.full((2,), 0.1))
    assert not state["inverse"].any()
    assert z.isfinite().all()


@pytest.mark.parametrize("descent", [Adam([0.9, 0.999], 1e-8, {0: 0.1}), LBFGS(4, 1e-4, {0: 1.0})])
def test_rows_do_not_depend_on_each_other(descent: Descent) -> None:
    bowls = Bowls(16, 8, 50.0)
    whole = descend(descent, bowls, 30)
    assert torch.equal(descend(descent, bowls, 30, slice(0, 8)), whole[:8])


def test_learning_rates_fall_at_their_share_of_the_steps() -> None:
    descent = GradientDescent({0: 0.01, 0.4: 0.001, 0.6: 0.0005})
    rates = [descent.learning_rate(step, 500) for step in (0, 199, 200, 299, 300, 499)]
    assert rates == [0.01, 0.01, 1e-3, 1e-3, 5e-4, 5e-4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientDescent({0.5: 0.1}), "search.descent.learning_rates={0.5: 0.1} must say"),
        (lambda: GradientDescent(0.1), "search.descent.learning_rates=0.1 must say"),  # type: ignore[arg-type]
        (lambda: GradientDescent({0: 0.1, 2: 0.1}), "search.descent.learning_rates: share of the steps=2 must"),
        (lambda: GradientDescent({0: -0.1}), "search.descent.learning_rates.0=-0.1 must be"),
        (lambda: Adam([0.9, 1.0], 1e-8, {0: 0.1}), "search.descent.betas=1.0 must"),
        (lambda: LBFGS(0, 1e-4, {0: 1.0}), "search.descent.history=0 must"),
    ],
)
def test_bad_settings_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make()
