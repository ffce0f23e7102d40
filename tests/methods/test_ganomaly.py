"""GANomaly: losses and scores by hand, who moves first, and known anomalies on the discriminator's fake side."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.losses.adversarial import NonSaturating
from semigan_pl.losses.distances import residual
from semigan_pl.methods.ganomaly import GANomaly, _Drawn, generator_losses, latent_score
from semigan_pl.types import Batch
from tests.conftest import build_model
from tests.methods.test_contract import BATCH, IMAGES, train

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def ganomaly(*overrides: str) -> Any:
    model = build_model("ganomaly", *overrides)
    assert isinstance(model, GANomaly)
    return model


def test_losses_are_means_by_hand() -> None:
    images, redrawn = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1.0, -2.0]]], [[[0.5, 0.5]]]])
    features, redrawn_features = torch.tensor([[1.0, 2.0, 3.0]] * 2), torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0]])
    z, again = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    losses = generator_losses(images, redrawn, features, redrawn_features, z, again)
    assert losses == {"adversarial": 9 / 6, "contextual": 4 / 4, "encoding": (1 + 4) / 2}


def test_gradients_of_the_losses() -> None:
    torch.manual_seed(0)
    shapes = [(2, 1, 2, 2), (2, 1, 2, 2), (2, 3), (2, 3), (2, 4), (2, 4)]
    values = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *v: tuple(generator_losses(*v).values()), values)


def test_scores_of_the_codes_by_hand() -> None:
    z, again = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[4.0, -2.0], [0.0, 1.0]])
    assert latent_score(z, again, "l1").tolist() == [7, 1]
    assert latent_score(z, again, "l2").tolist() == [25 / 2, 1 / 2]


class Stub(nn.Module):
    """Redraws images half as bright; codes are an image's mean and, again, that of what it has redrawn."""

    def codes(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        redrawn = self(images)
        return redrawn, images.flatten(1).mean(1, keepdim=True), redrawn.flatten(1).mean(1, keepdim=True)

    def forward(self, images: Tensor) -> Tensor:
        return images / 2


class Flat(nn.Module):
    """A discriminator whose features are the pixels."""

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def verdict(self, features: Tensor) -> Tensor:
        return features.sum(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.verdict(self.features(images))


def with_stubs(*overrides: str) -> Any:
    model = ganomaly(*overrides)
    model.generator, model.ema_generator, model.discriminator = Stub(), Stub(), Flat()
    return model


def test_terms_on_networks_that_one_can_look_through() -> None:
    """x = 1: ||x / 2||^2 = .25 in features, .5 in pixels, .25 in codes. Known anomalies (x = 9) are not redrawn."""
    model = with_stubs("model.weights={adversarial: 2, contextual: 10, encoding: 3}", "model.gamma=0.25")
    batch = Batch(
        torch.cat([torch.ones(2, 1, 2, 2), 9 * torch.ones(1, 1, 2, 2)]), torch.tensor([0, 0, 1]), torch.arange(3)
    )
    terms = model.generator_terms(batch)
    assert {name: float(term) for name, term in terms.items()} == {
        "g_adversarial": 2 * 0.25,
        "g_contextual": 10 * 0.5,
        "g_encoding": 3 * 0.25,
    }
    loss = NonSaturating(0, 1, 0)
    terms = model.discriminator_terms(batch)
    real, fake, known = (torch.tensor(value) for value in (4.0, 2.0, 36.0))
    torch.testing.assert_close(terms["d_adversarial"], loss.real(real) + 0.25 * loss.fake(fake))
    torch.testing.assert_close(terms["d_known_anomalies"], 0.75 * loss.fake(known))
    assert terms.keys() == {"d_adversarial", "d_known_anomalies"}


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_answers_in_closed_form(norm: str) -> None:
    model = ganomaly(f"model.latent_norm={norm}", "model.decision.critic=critic")
    train(model, 2)
    found = model.predict(IMAGES[:64])
    model.eval()
    with torch.no_grad():
        z = model.ema_generator.encoder(IMAGES[:64])
        redrawn = model.ema_generator.decoder(z)
        again = model.ema_generator.second_encoder(redrawn)
        critic = -model.discriminator(IMAGES[:64])
    latent = (z - again).abs().sum(1) if norm == "l1" else (z - again).square().mean(1)
    expected = {"latent": latent, "residual": residual(IMAGES[:64], redrawn), "critic": critic}
    assert model.averaged
    assert list(found.terms) == list(expected)
    for name, values in expected.items():
        torch.testing.assert_close(found.terms[name], values)
    assert torch.equal(found.score, found.terms["latent"])
    torch.testing.assert_close(found.anomaly_map, (IMAGES[:64] - redrawn).abs())
    torch.testing.assert_close(found.reconstruction, redrawn)


def test_the_critic_is_left_out_where_nobody_asks() -> None:
    without = ganomaly("model.decision.critic=null")
    without.discriminator = None  # whoever asks it fails
    assert list(without.predict(IMAGES[:3]).terms) == list(without.terms) == ["latent", "residual"]
    asked = ganomaly("model.decision.critic=null", "model.decision.score=critic")
    assert torch.equal(asked.predict(IMAGES[:3]).score, asked.predict(IMAGES[:3]).terms["critic"])


class Redrawing:
    """Counts, per decoder pass, whether gradients were asked for, and keeps what the discriminator was shown."""

    def __init__(self, model: Any) -> None:
        self.passes: list[bool] = []
        self.drawn: list[Tensor] = []
        self.shown: list[Tensor] = []
        model.generator.decoder.register_forward_hook(self.draw)
        model.discriminator.shrink.register_forward_pre_hook(
            lambda module, inputs: self.shown.append(inputs[0].detach())
        )

    def draw(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.passes.append(torch.is_grad_enabled())
        self.drawn.append(output.detach())


@pytest.mark.parametrize("parts", [1, 2])
def test_the_generator_moves_first_and_nothing_is_redrawn_twice(parts: int) -> None:
    model = ganomaly(f"model.updates.accumulate={parts}")
    seen = Redrawing(model)
    train(model, 3)
    assert model.moved == ("generator", "discriminator")
    assert seen.passes == [True] * 3 * parts
    fakes = seen.shown[1::2]  # each time after the real ones
    passes = seen.drawn  # once for both players
    if parts == 2:  # but in micro-batches each player shows both of them
        passes = [drawn for pair in zip(seen.drawn[::2], seen.drawn[1::2], strict=True) for drawn in pair * 2]
    assert all(torch.equal(fake, drawn) for fake, drawn in zip(fakes, passes, strict=True))
    assert not model._drawn


def test_passes_that_both_players_share_give_the_gradients_of_passes_of_their_own() -> None:
    """Each player's gradient by autograd from the definition, on networks as they were before its step."""
    model = ganomaly()
    train(model, 2)
    batch = Batch(IMAGES[:16], torch.zeros(16, dtype=torch.long), torch.arange(16))
    networks = {"generator": copy.deepcopy(model.generator), "discriminator": copy.deepcopy(model.discriminator)}
    model.zero_grad()
    model.turn()
    found: dict[str, list[Tensor]] = {}
    for player in ("generator", "discriminator"):
        weights = list(model.network_of(player).parameters())
        loss = torch.stack(list(getattr(model, f"{player}_terms")(batch).values())).sum()
        loss.backward(inputs=weights, retain_graph=model.hands_on(player))
        found[player] = [weight.grad.clone() for weight in weights]
    generator, discriminator = networks["generator"], networks["discriminator"]
    redrawn, z, again = generator.codes(batch.images)
    features = discriminator.features(batch.images).detach(), discriminator.features(redrawn)
    losses = generator_losses(batch.images, redrawn, *features, z, again)
    loss_g = losses["adversarial"] + 50 * losses["contextual"] + losses["encoding"]
    real, fake = discriminator(batch.images), discriminator(redrawn.detach())
    loss_d = (model.loss.real(real) + model.loss.fake(fake)).mean()
    for player, loss in (("generator", loss_g), ("discriminator", loss_d)):
        expected = torch.autograd.grad(loss, list(networks[player].parameters()))
        torch.testing.assert_close(found[player], list(expected))


def test_where_the_generator_rests_the_discriminator_gets_new_images() -> None:
    model = ganomaly("model.critic_steps=2")
    seen = Redrawing(model)
    train(model, 4)
    assert seen.passes == [False, True] * 2
    assert not torch.equal(seen.drawn[1], seen.drawn[2])


def test_images_of_an_earlier_step_are_forgotten() -> None:
    model = ganomaly()
    model._drawn[0] = _Drawn(torch.full_like(IMAGES[:16], 1e6), None)
    model.generator_terms = lambda batch: {
        "g_contextual": (batch.unlabelled - model.generator(batch.unlabelled)).abs().mean()
    }
    seen = Redrawing(model)
    train(model, 1)
    assert seen.shown[1].abs().max() <= 1


def test_known_anomalies_move_the_discriminator_alone_at_first() -> None:
    """The generator moves first, by unlabelled images; it feels known anomalies through the features, a step later."""
    states = []
    for gamma in (0.5, 1.0):
        for batches in (1, 2):
            model = ganomaly(f"model.gamma={gamma}")
            train(model, batches, BATCH)
            networks = (model.generator, model.discriminator)
            states.append([torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks])
    (g, d), (g2, d2), (plain_g, plain_d), (plain_g2, plain_d2) = states
    assert torch.equal(g, plain_g)
    assert not torch.equal(d, plain_d)
    assert not torch.equal(g2, plain_g2)
    assert not torch.equal(d2, plain_d2)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model.latent_norm=l3", r"model\.latent_norm=l3 is unknown: use l1 \(the paper's\) or l2"),
        ("model.weights.contextual=-1", r"model\.weights\.contextual=-1 must be"),
        ("data.image_size=30", r"data\.image_size=30"),
    ],
)
def test_what_is_refused(typed: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        ganomaly(typed)
