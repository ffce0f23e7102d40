"""Densities and divergences against torch.distributions; their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from semigan_pl.losses.variational import bernoulli_log_density, divergence_from_prior, gaussian_log_density


def rand(*shape: int, seed: int = 0) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=noise, dtype=torch.float64) * 2 - 1


def test_gaussian_density() -> None:
    x, mean, log_s = rand(3, 1, 4, 4), rand(3, 1, 4, 4, seed=1), 3 * rand(3, 1, 4, 4, seed=2)
    torch.testing.assert_close(gaussian_log_density(x, mean, log_s), Normal(mean, log_s.exp()).log_prob(x))


def test_bernoulli_density_of_black_and_white() -> None:
    x, mean = rand(3, 1, 4, 4).sign(), rand(3, 1, 4, 4, seed=1)
    torch.testing.assert_close(bernoulli_log_density(x, mean), Bernoulli((mean + 1) / 2).log_prob((x + 1) / 2))


def test_a_bernoulli_that_is_certain_stays_finite() -> None:
    x, mean = torch.tensor([1.0, -1.0]), torch.tensor([-1.0, 1.0], requires_grad=True)
    values = bernoulli_log_density(x, mean)
    assert values.tolist() == pytest.approx([math.log(1e-6)] * 2, rel=0.01)
    assert bernoulli_log_density(x, x).tolist() == pytest.approx([0, 0], abs=2e-6)


def test_divergence() -> None:
    mean, log_s = rand(5, 7), 2 * rand(5, 7, seed=1)
    posterior = Independent(Normal(mean, log_s.exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(divergence_from_prior(mean, log_s), kl_divergence(posterior, prior))
    assert divergence_from_prior(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]


def test_gradients() -> None:
    x, mean, log_s = (rand(2, 1, 2, 2, seed=n).requires_grad_() for n in range(3))
    assert torch.autograd.gradcheck(gaussian_log_density, (x, mean, log_s))
    assert torch.autograd.gradcheck(bernoulli_log_density, (x, mean))
    assert torch.autograd.gradcheck(divergence_from_prior, (mean.flatten(1), log_s.flatten(1)))
