"""EGBAD: who pays what for which pairs, the gamma mixture in the joint game, and the scores in closed form."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from semigan_pl.losses.adversarial import NonSaturating
from semigan_pl.methods.egbad import EGBAD
from semigan_pl.types import Batch
from tests.conftest import build_model
from tests.losses.test_adversarial import P_ANOMALOUS, P_DATA, water_filled
from tests.methods.test_contract import BATCH, IMAGES, train

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
PROGRESSIVE = [
    "network@model.generator=progressive_generator",
    "network@model.discriminator.trunk=progressive_discriminator",
    "loss=wasserstein",
    "network_sizes.small.fmap_max=8",
]


def egbad(*overrides: str) -> EGBAD:
    model = build_model("egbad", *overrides)
    assert isinstance(model, EGBAD)
    return model


def terms_of(model: EGBAD, player: str, batch: Batch = BATCH) -> dict[str, Tensor]:
    """A player's terms in the first step, with the latents that `latents` gives."""
    state = copy.deepcopy(model.state_dict())
    model.noise = model.noise_at(0)
    terms: dict[str, Tensor] = getattr(model, f"{player}_terms")(batch)
    model.load_state_dict(state)  # running statistics and spectral norms as before
    return terms


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms outside of a training: one process, all rows its own."""
    monkeypatch.setattr(EGBAD, "everyone", lambda self, n: n)
    monkeypatch.setattr(EGBAD, "own", lambda self, rows: rows)


@pytest.mark.usefixtures("alone")
def test_all_pay_the_references_cross_entropies() -> None:
    """Its four BCE terms, written out."""
    model = egbad("model.gamma=1").eval()
    d: Any = model.discriminator
    z = model.generator.sample_latents(16, model.noise_at(0))  # type: ignore[operator]
    x = IMAGES[:16]
    encoded, generated = d(d.pair(x, model.encoder(x))), d(d.pair(model.generator(z), z))
    one, zero = torch.ones(16), torch.zeros(16)
    expected = {
        "discriminator": {"d_adversarial": cross_entropy(encoded, one) + cross_entropy(generated, zero)},
        "generator": {"g_adversarial": cross_entropy(generated, one)},
        "encoder": {"e_adversarial": cross_entropy(encoded, zero)},
    }
    for player, terms in expected.items():
        torch.testing.assert_close(terms_of(model, player), terms)


@pytest.mark.usefixtures("alone")
def test_known_anomalies_are_fakes_with_their_own_encoding() -> None:
    model = egbad("model.gamma=0.7").eval()
    d: Any = model.discriminator
    x, x_a = IMAGES[:16], IMAGES[16:24]
    z = model.generator.sample_latents(16, model.noise_at(0))  # type: ignore[operator]
    real, fake, known = (
        d(d.pair(*pair)) for pair in ((x, model.encoder(x)), (model.generator(z), z), (x_a, model.encoder(x_a)))
    )
    terms = terms_of(model, "discriminator")
    torch.testing.assert_close(
        terms["d_adversarial"],
        cross_entropy(real, torch.ones(16)) + 0.7 * cross_entropy(fake, torch.zeros(16)),
    )
    torch.testing.assert_close(terms["d_known_anomalies"], 0.3 * cross_entropy(known, torch.zeros(8)))
    order = torch.arange(23, -1, -1)  # known anomalies first
    mixed = terms_of(model, "discriminator", Batch(IMAGES[:24][order], BATCH.labels[order], order))
    torch.testing.assert_close(mixed["d_known_anomalies"], terms["d_known_anomalies"])


def test_known_anomalies_move_no_statistic_of_the_encoder() -> None:
    louder = Batch(torch.cat([IMAGES[:16], torch.ones(8, 1, 16, 16)]), BATCH.labels, BATCH.indices)
    statistics = []
    for batch in (BATCH, louder):
        model = egbad("model.gamma=0.5")
        train(model, 1, batch)
        statistics.append([buffer.clone() for buffer in model.encoder.buffers()])
    for one, other in zip(*statistics, strict=True):
        assert torch.equal(one, other)


def test_marginal_of_the_joint_game_is_the_mixtures_optimum() -> None:
    """Five images, three latents, tables for networks and exact expectations: G's images end where the game of images
    alone ends (water filling), while E learns beside it and pays for unlabelled pairs only."""
    gamma, loss = 0.7, NonSaturating(0, 1, 0)
    p_d, p_a = (torch.tensor(p)[:, None] for p in (P_DATA, P_ANOMALOUS))
    noise = torch.Generator().manual_seed(0)
    f, g = (torch.zeros(5, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    q = (0.1 * torch.randn(5, 3, dtype=torch.float64, generator=noise)).requires_grad_()
    rates = (0.1, 0.05)
    optimizers = [torch.optim.Adam(moved, betas=(0.5, 0.99)) for moved in ([f], [g, q])]
    for step in range(400):
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * 0.99**step
            optimizer.zero_grad()
        drawn, encoded = g.detach().softmax(0) / 3, q.detach().softmax(1)
        fake = gamma * drawn + (1 - gamma) * p_a * encoded
        (p_d * encoded * loss.real(f) + fake * loss.fake(f)).sum().backward()
        optimizers[0].step()
        fixed = f.detach()
        (g.softmax(0) / 3 * loss.generator(fixed) + p_d * q.softmax(1) * loss.fake(fixed)).sum().backward()
        optimizers[1].step()
    np.testing.assert_allclose(g.detach().softmax(0).mean(1).numpy(), water_filled(gamma)[0], atol=6e-3)
    assert np.abs(water_filled(gamma)[0] - water_filled(1.0)[0]).max() > 0.05


class Slope(nn.Module):
    """f(x, z) = w . (x, z)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16 * 16 + 6, generator=torch.Generator().manual_seed(0)))

    def pair(self, images: Tensor, z: Tensor) -> Tensor:
        return torch.cat([images.flatten(1), z], 1)[..., None, None]

    def forward(self, pairs: Tensor) -> Tensor:
        return pairs.flatten(1) @ self.weight


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_the_gradient_penalty_is_of_pairs(gamma: float) -> None:
    model = egbad("loss=wasserstein", f"model.gamma={gamma}", "network_sizes.small.latent_dim=6")
    model.discriminator = Slope()
    expected = 10 * (model.discriminator.weight.norm() - 1).square()  # type: ignore[operator,union-attr]
    torch.testing.assert_close(terms_of(model, "discriminator")["d_penalty"], expected)


def watched(model: EGBAD, steps: int) -> list[dict[str, Tensor]]:
    """Every weight, before and after each move of a player."""
    states = [{name: value.detach().clone() for name, value in model.named_parameters()}]

    def move(player: str, batch: Batch) -> dict[str, Tensor]:
        values = EGBAD.move(model, player, batch)
        states.append({name: value.detach().clone() for name, value in model.named_parameters()})
        return values

    model.move = move  # type: ignore[method-assign]
    train(model, steps)
    return states


@pytest.mark.parametrize("options", [[], PROGRESSIVE], ids=["dcgan", "progressive"])
def test_each_step_moves_its_own_player_and_every_one_has_its_turn(options: list[str]) -> None:
    moved = [
        {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
        - {"ema_generator", "ema_encoder"}
        for before, after in pairwise(watched(egbad("model.gamma=0.5", *options), 2))
    ]
    assert moved == [{"discriminator"}, {"generator"}, {"encoder"}] * 2


def test_scores_in_closed_form_from_the_averages() -> None:
    model = egbad("model.weight=0.25")
    train(model, 3)
    found = model.predict(IMAGES[:64])
    model.eval()
    assert model.averaged
    assert not torch.equal(model.encoder(IMAGES[:64]), model.ema_encoder(IMAGES[:64]))
    d: Any = model.discriminator
    with torch.no_grad():
        z = model.ema_encoder(IMAGES[:64])
        drawn = model.ema_generator(z)
        residual = (IMAGES[:64] - drawn).abs().sum((1, 2, 3))
        features, theirs = d.features(d.pair(IMAGES[:64], z)), d.features(d.pair(drawn, z))
        matching = (features - theirs).abs().sum(1)
        logits = d(d.pair(IMAGES[:64], z))
    bce = cross_entropy(logits, torch.ones(64), reduction="none")
    expected = {
        "residual": residual,
        "matching": matching,
        "egbad": 0.75 * residual + 0.25 * matching,
        "crossentropy": 0.75 * residual + 0.25 * bce,
        "critic": -logits,
    }
    assert {name: values.shape for name, values in expected.items()} == {
        name: values.shape for name, values in found.terms.items()
    }
    for name, values in expected.items():
        torch.testing.assert_close(found.terms[name], values)
    torch.testing.assert_close(found.anomaly_map, (IMAGES[:64] - drawn).abs())
    torch.testing.assert_close(found.reconstruction, drawn)


@pytest.mark.parametrize("options", [[], PROGRESSIVE], ids=["dcgan", "progressive"])
def test_no_term_depends_on_the_batch(options: list[str]) -> None:
    model = egbad(*options)
    train(model, 2)
    whole, part = model.predict(IMAGES).terms, model.predict(IMAGES[5:22]).terms
    assert all(torch.equal(values, whole[name][5:22]) for name, values in part.items())


@pytest.mark.parametrize("loss", ["nonsaturating", "saturating", "hinge", "wasserstein", "least_squares"])
def test_every_loss_trains_all_three(loss: str) -> None:
    model = egbad(f"loss={loss}", "model.gamma=0.5")
    train(model, 2)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("loss", ["nonsaturating", "saturating", "hinge", "wasserstein", "least_squares"])
def test_an_encoder_is_paid_for_lower_logits(loss: str) -> None:
    """From where the discriminator rightly has its pairs, down to what it has generated ones at."""
    cost = egbad(f"loss={loss}").loss.fake(torch.tensor([1.0, 0.5, 0.0]))
    assert cost[0] > cost[1] > cost[2]


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_a_weight_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(Exception, match=rf"model\.weight={weight} must be"):
        egbad(f"model.weight={weight}")
