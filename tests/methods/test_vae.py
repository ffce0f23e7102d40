"""The VAE: its bound, and the reconstruction probability against the density in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from semigan_pl.methods.vae import VAE
from semigan_pl.types import Batch
from tests.conftest import build_model
from tests.methods.test_contract import BATCH, IMAGES, train

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def vae(*overrides: str) -> VAE:
    model = build_model("vae", *overrides)
    assert isinstance(model, VAE)
    return model


class Linear(nn.Module):
    """Images of 2 x 2 px: q(z|x) = N(A x, s_z^2), p(x|z) = N(W z, s_x^2)."""

    latent_dim = 3

    def __init__(self, log_deviation: float, posterior: float) -> None:
        super().__init__()
        noise = torch.Generator().manual_seed(2)
        self.up, self.down = torch.randn(3, 4, generator=noise) / 2, torch.randn(4, 3, generator=noise) / 2
        self.log_deviation, self.posterior = log_deviation, posterior

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean = images.flatten(1) @ self.down
        return mean, torch.full_like(mean, self.posterior)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        mean = (z @ self.up).view(-1, 1, 2, 2)
        return mean, torch.full_like(mean, self.log_deviation)


def linear(draws: int, posterior: float, *overrides: str, log_deviation: float = -0.5) -> VAE:
    model = vae(*overrides)
    model.autoencoder = Linear(log_deviation, posterior)
    model.draws = draws
    return model


SHOWN = torch.rand(8, 1, 2, 2, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_a_certain_posterior_gives_the_gaussian_density() -> None:
    """s_z -> 0: every draw is the mean, and the score is -log N(x; W A x, s_x^2)."""
    model = linear(10, -30.0)
    drawn, _ = model.autoencoder.decode(SHOWN.flatten(1) @ model.autoencoder.down)
    expected = -Normal(drawn, math.exp(-0.5)).log_prob(SHOWN).sum((1, 2, 3))
    found = model.predict(SHOWN)
    torch.testing.assert_close(found.terms["reconstruction_probability"], expected)
    torch.testing.assert_close(found.reconstruction, drawn.clamp(-1, 1))
    torch.testing.assert_close(found.terms["residual"], (SHOWN - drawn).abs().sum((1, 2, 3)))
    torch.testing.assert_close(found.anomaly_map, 0.5 * ((SHOWN - drawn) / math.exp(-0.5)).square())


def test_reconstruction_probability_of_a_linear_decoder() -> None:
    """Its mean over z ~ N(mu, s^2) is log N(x; W mu, s_x^2) - s^2 ||W||^2 / 2 s_x^2: quadratic in z, and so exact for
    draws whose mean and covariance are 0 and I."""
    model = linear(64, math.log(0.5))
    noises = model._prior(64)
    centred = noises - noises.mean(0)
    exact = torch.linalg.solve_triangular(torch.linalg.cholesky(centred.T @ centred / 64), centred.T, upper=False).T
    model._prior = lambda n: exact  # type: ignore[method-assign]
    up, s_x = model.autoencoder.up, math.exp(-0.5)
    at_mean = Normal(model.autoencoder.decode(SHOWN.flatten(1) @ model.autoencoder.down)[0], s_x).log_prob(SHOWN)
    expected = at_mean.sum((1, 2, 3)) - 0.25 * up.square().sum() / (2 * s_x**2)
    found = -model.predict(SHOWN).terms["reconstruction_probability"]
    torch.testing.assert_close(found, expected)


def test_the_mean_of_densities_is_the_marginal_density() -> None:
    """p(x) = N(W mu, s_x^2 I + s_z^2 W'W) where z ~ q(z|x), within the error of so many draws."""
    model = linear(2_000, math.log(0.5), "model.average=density")
    up = model.autoencoder.up
    covariance = math.exp(-1.0) * torch.eye(4) + 0.25 * up.T @ up
    drawn = (SHOWN.flatten(1) @ model.autoencoder.down) @ up
    expected = -MultivariateNormal(drawn, covariance).log_prob(SHOWN.flatten(1))
    found = model.predict(SHOWN).terms
    torch.testing.assert_close(found["reconstruction_probability"], expected, atol=0.1, rtol=0)
    logs = linear(2_000, math.log(0.5)).predict(SHOWN).terms
    assert (found["reconstruction_probability"] < logs["reconstruction_probability"]).all()  # Jensen
    torch.testing.assert_close(found["elbo"], logs["elbo"])


def test_elbo_is_reconstruction_and_divergence() -> None:
    model = linear(10, math.log(0.5))
    found = model.predict(SHOWN).terms
    mean = SHOWN.flatten(1) @ model.autoencoder.down
    kl = torch.distributions.kl_divergence(Normal(mean, 0.5), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(found["elbo"], found["reconstruction_probability"] + kl)


def test_a_fixed_deviation_takes_the_place_of_the_decoders() -> None:
    fixed, said = linear(10, -1.0, "model.deviation=0.2"), linear(10, -1.0, log_deviation=math.log(0.2))
    for name, values in fixed.predict(SHOWN).terms.items():
        torch.testing.assert_close(values, said.predict(SHOWN).terms[name])


def test_bernoulli_of_black_and_white() -> None:
    model = linear(10, -30.0, "model.likelihood=bernoulli")
    shown = SHOWN.sign()
    p = (model.autoencoder.decode(shown.flatten(1) @ model.autoencoder.down)[0] / 2 + 0.5).clamp(1e-6, 1 - 1e-6)
    surprise = -Bernoulli(p).log_prob(shown / 2 + 0.5)
    found = model.predict(shown)
    torch.testing.assert_close(found.terms["reconstruction_probability"], surprise.sum((1, 2, 3)))
    torch.testing.assert_close(found.anomaly_map, surprise, atol=1e-5, rtol=1e-5)


def test_the_loss_is_the_negative_bound_with_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    model = linear(1, math.log(0.5))
    noise = torch.randn(16, 3, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr(VAE, "gaussian", lambda self, *shape: noise)
    images = torch.cat([SHOWN, -SHOWN, SHOWN])
    terms = model.autoencoder_terms(Batch(images, BATCH.labels, BATCH.indices))  # the last 8 are known anomalies
    mean = images[:16].flatten(1) @ model.autoencoder.down
    drawn = ((mean + 0.5 * noise) @ model.autoencoder.up).view(-1, 1, 2, 2)
    likelihood = Normal(drawn, math.exp(-0.5)).log_prob(images[:16]).sum((1, 2, 3)).mean()
    kl = torch.distributions.kl_divergence(Normal(mean, 0.5), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(terms, {"a_likelihood": -likelihood, "a_kl": kl})


def test_known_anomalies_take_no_part() -> None:
    louder = Batch(torch.cat([IMAGES[:16], torch.ones(8, 1, 16, 16)]), BATCH.labels, BATCH.indices)
    states = []
    for batch in (BATCH, louder):
        model = vae()
        train(model, 2, batch)
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*states)


OPTIONS: list[list[str]] = [
    [],
    ["network@model.autoencoder=dense_autoencoder"],
    ["network@model.autoencoder.decoder=progressive_generator", "network_sizes.small.fmap_max=8"],
    ["model.likelihood=bernoulli", "model.average=density"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=["conv", "dense", "progressive", "bernoulli"])
def test_it_learns_and_no_term_depends_on_the_batch(options: list[str]) -> None:
    model = vae(*options)
    before = model.predict(IMAGES[:16]).terms["elbo"].mean()
    train(model, 12, Batch(IMAGES[:16], torch.zeros(16), torch.arange(16)))
    found = model.predict(IMAGES)
    assert found.terms["elbo"][:16].mean() < before
    part = model.predict(IMAGES[5:22])
    for name, values in part.terms.items():
        assert torch.equal(values, found.terms[name][5:22]), name
    assert found.anomaly_map is not None
    assert part.anomaly_map is not None
    assert torch.equal(part.anomaly_map, found.anomaly_map[5:22])
    assert (found.anomaly_map >= 0).all()


def test_every_image_meets_the_same_noise_whatever_the_seed() -> None:
    one, other = vae(), vae("seed=7")
    other.load_state_dict(one.state_dict())
    twice = torch.cat([IMAGES[:5], IMAGES[:5]])
    score = one.predict(twice).score
    assert torch.equal(score[:5], score[5:])
    assert torch.equal(score, other.predict(twice).score)


def test_samples_are_decoded_means_and_always_the_same() -> None:
    model: Any = vae()
    first, again = model.samples(9), model.samples(9)
    assert first.shape == (9, 1, 16, 16)
    assert torch.equal(first, again)
    assert first.std(0).mean() > 0


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["model.likelihood=laplace"], r"model\.likelihood=laplace is unknown: use gaussian or bernoulli"),
        (["model.average=median"], r"model\.average=median is unknown: use log_density or density"),
        (["model.deviation=0"], r"model\.deviation=0 must be a finite number, above 0"),
        (["model.deviation=1", "model.likelihood=bernoulli"], r"model\.deviation=1 is of a normal distribution"),
        (["model.draws=0"], r"model\.draws=0 must be a whole number"),
        (["model.gamma=0.5"], "Could not override 'model.gamma'"),
    ],
)
def test_what_is_refused(typed: list[str], words: str) -> None:
    with pytest.raises(Exception, match=words):
        vae(*typed)
