"""The encoder's stage: its losses in closed form, where it begins, and that nothing else moves in it."""

from __future__ import annotations

import copy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from semigan_pl.callbacks.generator_ema import GeneratorEMA
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.methods.encoding import izi_f_terms, izi_terms, mean_squared_difference, ziz_terms
from semigan_pl.tasks.fit import Parts, build
from semigan_pl.types import Batch
from tests.commands import SMALL
from tests.conftest import build_model, compose_config
from tests.methods.test_contract import BATCH, IMAGES, _Repeated, train
from tests.methods.test_updates import GROWING

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

GAN = ("generator.", "ema_generator.", "discriminator.")


def fanogan(*overrides: str) -> AdversarialModule:
    model = build_model("fanogan", *overrides)
    assert isinstance(model, AdversarialModule)
    return model


def test_losses_by_hand() -> None:
    images, z = torch.tensor([[1.0, 3.0], [0.0, 2.0]]), torch.tensor([[2.0], [4.0]])

    def encoder(x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)  # 4 and 2

    def generator(z: Tensor) -> Tensor:
        return torch.cat([z, -z], 1)

    def features(x: Tensor) -> Tensor:
        return x[:, :1]

    assert mean_squared_difference(images, generator(z)).tolist() == [(1 + 25) / 2, (16 + 36) / 2]
    assert ziz_terms(z, encoder, generator) == {"e_latent": (4 + 16) / 2}
    residual = ((9 + 49) / 2 + (4 + 16) / 2) / 2
    assert izi_terms(images, encoder, generator) == {"e_residual": residual}
    both = izi_f_terms(images, encoder, generator, features, kappa=0.5)
    assert both == {"e_residual": residual, "e_discrimination": 0.5 * (9 + 4) / 2}


class Linear(nn.Module):
    """G(z) = W z with orthonormal columns, for images of 4 x 4 px."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.columns = nn.Parameter(torch.linalg.qr(torch.randn(16, 3))[0])

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        return torch.randn(n, 3, generator=noise)

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.columns.T).view(-1, 1, 4, 4)


@pytest.mark.parametrize("kind", ["izi", "ziz"])
def test_a_linear_generator_is_inverted_by_its_transpose(kind: str) -> None:
    """izi: E = W^T is the only minimum on images of full rank. ziz sees the range of W alone: E W = 1."""
    model, generator = fanogan(f"encoding={kind}", "model.gan_checkpoint=earlier.ckpt"), Linear()
    assert model.encoding is not None
    model.generator, model.ema_generator = generator, copy.deepcopy(generator)
    encoder = nn.Linear(16, 3, bias=False)
    model.encoding.encoder = nn.Sequential(nn.Flatten(), encoder)
    model.make_optimizers["encoder"] = partial(torch.optim.SGD, lr=4.0 if kind == "izi" else 0.5)
    unlabelled = torch.randn(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    known = torch.full((8, 1, 4, 4), 1e6)  # would throw it off at once
    train(model, 300, Batch(torch.cat([unlabelled, known]), torch.arange(72) // 64, torch.arange(72)))
    columns = Linear().columns.detach()
    assert torch.equal(generator.columns, columns)
    if kind == "izi":
        torch.testing.assert_close(encoder.weight.detach(), columns.T, rtol=0, atol=1e-4)
    torch.testing.assert_close(encoder.weight.detach() @ columns, torch.eye(3), rtol=0, atol=1e-4)


class Watch(pl.Callback):
    """Keeps, after every batch, weights, statistics and the optimizers' states."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        state = {name: value for name, value in pl_module.state_dict().items() if isinstance(value, Tensor)}
        for player, optimizer in zip(pl_module.players, trainer.optimizers, strict=True):
            for number, values in optimizer.state_dict()["state"].items():
                state |= {f"{player}.{number}.{name}": value for name, value in values.items()}
        self.states.append(copy.deepcopy(state))


def watched(model: AdversarialModule, batches: int) -> list[dict[str, Tensor]]:
    watch = Watch()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callbacks = [GeneratorEMA(half_life=64), watch]
    trainer = pl.Trainer(callbacks=callbacks, accelerator="cpu", max_epochs=1, log_every_n_steps=1, **quiet)  # type: ignore[arg-type]
    trainer.fit(model, _Repeated(batches, BATCH))
    return watch.states


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Whose numbers differ: "generator", "ema_generator", "discriminator", "encoding", "encoder" (its optimizer)."""
    changed = [name for name, value in after.items() if name not in before or not torch.equal(value, before[name])]
    return {name.partition(".")[0] for name in changed}


@pytest.mark.parametrize("kind", ["ziz", "izi", "izi_f"])
@pytest.mark.parametrize(
    "options",
    [[], ["model.critic_steps=2"], ["model.updates.accumulate=2", "model.updates.clip_e=0.1"], GROWING],
    ids=["plain", "critic_steps", "accumulate", "progressive"],
)
def test_first_the_players_move_and_then_the_encoder_alone(kind: str, options: list[str]) -> None:
    """Not a bit of a weight, a running statistic, the average, or an optimizer of the others."""
    model = fanogan(f"encoding={kind}", "max_images=86", *options)  # 64.5 images: rounded, half to even
    assert model.encoding is not None
    assert model.encoding.begins_at == 64
    states = watched(model, 7)
    assert moved(states[0], states[3]) == {"generator", "ema_generator", "discriminator"}
    for before, after in pairwise(states[3:]):
        assert moved(before, after) == {"encoding", "encoder"}
    assert model.averaged


def test_a_batch_belongs_to_where_it_begins() -> None:
    model = fanogan("max_images=100", "encoder_share=0.4")
    assert [model.encodes_at(images) for images in (0, 59, 60, 100)] == [False, False, True, True]
    assert not fanogan().encodes_at(47_999)
    assert fanogan().encodes_at(48_000)
    assert fanogan("model.gan_checkpoint=earlier.ckpt").encodes_at(0)
    without = build_model("anogan")
    assert isinstance(without, AdversarialModule)
    assert not without.encodes_at(10**9)
    assert len(without.configure_optimizers()) == 2
    assert not any(name.startswith("encoding") for name in without.state_dict())


def test_the_game_is_the_same_with_an_encoder_to_come() -> None:
    alone, with_encoder = build_model("gan"), fanogan()
    with_encoder.generator.load_state_dict(alone.generator.state_dict())  # type: ignore[union-attr]
    with_encoder.discriminator.load_state_dict(alone.discriminator.state_dict())  # type: ignore[union-attr]
    with_encoder.ema_generator.load_state_dict(alone.ema_generator.state_dict())  # type: ignore[union-attr]
    for model in (alone, with_encoder):
        train(model, 3)
    own = with_encoder.state_dict()
    for name, value in alone.state_dict().items():
        assert not isinstance(value, Tensor) or torch.equal(value, own[name]), name


def test_scores_in_closed_form() -> None:
    model = fanogan("encoding.kappa=0.25", "model.gan_checkpoint=earlier.ckpt")
    train(model, 2)
    assert model.encoding is not None
    found = model.predict(IMAGES[:64])
    model.eval()
    discriminator: Any = model.discriminator
    with torch.no_grad():
        z = model.encoding.encoder(IMAGES[:64])
        drawn = model.generator(z)
        residual = (IMAGES[:64] - drawn).square().mean((1, 2, 3))
        features = (discriminator.features(IMAGES[:64]) - discriminator.features(drawn)).square().mean(1)
        encoding = (z - model.encoding.encoder(drawn)).square().mean(1)
        critic = -model.discriminator(IMAGES[:64])
    expected = {"residual": residual, "discrimination": features, "encoding": encoding, "critic": critic}
    expected["fanogan"] = residual + 0.25 * features
    assert found.terms.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found.terms[name], values)
    assert found.anomaly_map is not None
    torch.testing.assert_close(found.anomaly_map, (IMAGES[:64] - drawn).abs())
    assert found.reconstruction is not None
    torch.testing.assert_close(found.reconstruction, drawn)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["encoding=none"], "f-AnoGAN needs an encoder: leave out encoding=none"),
        (["encoding=none", "model.gan_checkpoint=x"], "model.gan_checkpoint is for training an encoder"),
        (["encoding.kind=zizi"], "encoding.kind=zizi is unknown: use ziz, izi, izi_f"),
        (["encoding.kappa=-1"], "encoding.kappa=-1 must be"),
        (["encoder_share=0"], r"encoder_share=0 must lie in \(0, 1\)"),
        (["encoder_share=1"], r"encoder_share=1 must lie in \(0, 1\)"),
        (["model.updates.clip_e=0"], "model.updates.clip_e=0 must be"),
    ],
)
def test_what_is_refused(typed: list[str], words: str) -> None:
    with pytest.raises(Exception, match=words):
        build_model("fanogan", *typed)


def test_an_encoder_has_a_loss_scale_of_its_own() -> None:
    plain, scaled = (fanogan("model.gan_checkpoint=earlier.ckpt") for _ in range(2))
    scaled.updates.scale_losses("cpu")
    for model in (plain, scaled):
        train(model, 2)
    own, other = plain.state_dict(), scaled.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in own.items() if name.startswith("encoding"))
    assert scaled.get_extra_state()["loss_scales"]["encoder"]["_growth_tracker"] == 2


def parts_of(folder: Path, *overrides: str) -> Parts:
    typed = ["model=fanogan", "max_images=320", "callbacks.checkpoint.images=128", "callbacks.checkpoint.keep=true"]
    return build(compose_config(*SMALL[1:], *typed, f"run={folder}", "trainer.log_every_n_steps=1", *overrides))


@pytest.mark.parametrize("options", [[], ["+experiment=progressive_digits", "network_sizes.small.fmap_max=8"]])
def test_a_resumed_training_goes_the_same_way_from_before_and_behind_the_border(
    tmp_path: Path, options: list[str]
) -> None:
    """The game ends at 240 images; gone on with from 128 and from 256."""
    whole = parts_of(tmp_path, *options, "encoding=ziz" if options else "encoding=izi_f")
    whole.trainer.fit(whole.model, datamodule=whole.data)
    for images in (128, 256):
        rest = parts_of(tmp_path / str(images), *options, "encoding=ziz" if options else "encoding=izi_f")
        kept = tmp_path / "checkpoints" / f"{images:09d}.ckpt"
        rest.trainer.fit(rest.model, datamodule=rest.data, ckpt_path=kept)
        assert rest.model.images_seen == whole.model.images_seen == 320
        states = [part.model.state_dict() for part in (whole, rest)]
        for name, value in states[0].items():
            assert not isinstance(value, Tensor) or torch.equal(value, states[1][name]), name
        for one, other in zip(whole.trainer.optimizers, rest.trainer.optimizers, strict=True):
            for number, values in one.state_dict()["state"].items():
                for name, value in values.items():
                    assert torch.equal(value, other.state_dict()["state"][number][name])
