"""How players step: parts of a batch, clipping, loss scales, and what must never reach the weights."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor, nn

from semigan_pl.methods import adversarial
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.methods.updates import Updates
from semigan_pl.types import Batch
from tests.conftest import build_model
from tests.methods.test_contract import BATCH, IMAGES, train

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

GROWING = [  # no batch statistics: groups of one
    "network@model.generator=progressive_generator",
    "network@model.discriminator=progressive_discriminator",
    "model.discriminator.group_size=1",
    "network_sizes.small.fmap_max=8",
    "loss=wasserstein",
]
SGD = dict.fromkeys(("generator", "discriminator"), partial(torch.optim.SGD, lr=0.01))


def growing(*overrides: str) -> AdversarialModule:
    model = build_model("semigan", *GROWING, *overrides)
    assert isinstance(model, AdversarialModule)
    model.make_optimizers = dict(SGD)
    return model


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_steps_are_one_large_step(parts: int) -> None:
    whole, divided = growing(), growing(f"model.updates.accumulate={parts}")
    start, batch = weights(whole), Batch(IMAGES[:32], torch.arange(32) // 16, torch.arange(32))
    for model in (whole, divided):
        train(model, 4, batch)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(divided)[name], value, rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(start[name], value) for name, value in weights(whole).items())


def test_spectral_norms_are_shared_by_the_parts() -> None:
    """The generator's batch statistics differ by part, the discriminator's power iteration runs once all the same."""
    model = build_model("anogan", "model.updates.accumulate=4")
    train(model, 2)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_known_anomalies_are_divided_too() -> None:
    parts = Updates(4, None, None, None, None, None).micro_batches(BATCH)
    assert [(int((p.labels == 0).sum()), int((p.labels == 1).sum())) for p in parts] == [(4, 2)] * 4
    assert torch.equal(torch.cat([part.unlabelled for part in parts]), BATCH.unlabelled)
    assert torch.equal(torch.cat([part.known_anomalies for part in parts]), BATCH.known_anomalies)


def test_without_known_anomalies() -> None:
    parts = Updates(2, None, None, None, None, None).micro_batches(
        Batch(IMAGES[:8], torch.zeros(8, dtype=torch.long), torch.arange(8))
    )
    assert [len(part.images) for part in parts] == [4, 4]


def test_parts_that_would_be_unequal() -> None:
    with pytest.raises(ValueError, match=r"model\.updates\.accumulate=3 does not divide the 16 unlabelled images"):
        Updates(3, None, None, None, None, None).micro_batches(BATCH)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_clipped_step_is_as_long_as_the_limit(player: str) -> None:
    limit = 1e-3
    model = growing(f"model.updates.clip_{player[0]}={limit}")
    model.make_optimizers = dict.fromkeys(SGD, partial(torch.optim.SGD, lr=1.0))
    before = weights(getattr(model, player))
    train(model, 1)
    after = weights(getattr(model, player))
    length = torch.stack([(after[name] - value).norm() for name, value in before.items()]).norm()
    torch.testing.assert_close(float(length), limit, rtol=1e-3, atol=0)


def test_a_wide_limit_changes_nothing() -> None:
    free, limited = growing(), growing("model.updates.clip_d=1e9", "model.updates.clip_g=1e9")
    for model in (free, limited):
        train(model, 2)
    assert all(torch.equal(value, weights(limited)[name]) for name, value in weights(free).items())


def test_scaled_losses_give_the_same_steps_also_clipped() -> None:
    """Scales are powers of two: unscaled before clipping, nothing changes; clipped before unscaling, all would."""
    plain, scaled = (growing("model.updates.clip_d=0.1", "model.updates.clip_g=0.1") for _ in range(2))
    scaled.updates.scale_losses("cpu")
    for model in (plain, scaled):
        train(model, 3)
    assert all(torch.equal(value, weights(scaled)[name]) for name, value in weights(plain).items())


def half_precision(model: AdversarialModule, batches: int) -> pl.Trainer:
    return train(model, batches, plugins=[MixedPrecision("16-mixed", "cpu")])


def test_each_player_has_its_own_scale() -> None:
    """A scale that overflows float16 costs its own player a step, and halves; the other one goes on."""
    model = growing()
    half_precision(model, 1)  # from now on losses are scaled
    scales = {"discriminator": 2.0**60, "generator": 2.0**4}
    model.updates.scalers = {player: torch.amp.GradScaler("cpu", init_scale=scale) for player, scale in scales.items()}
    discriminator, generator = weights(model.discriminator), weights(model.generator)
    model.setup = lambda stage: setattr(model.trainer.precision_plugin, "scaler", None)  # type: ignore[method-assign]
    half_precision(model, 1)
    state = model.get_extra_state()["loss_scales"]
    assert state["discriminator"]["scale"] == 2.0**59
    assert state["generator"]["scale"] == 2.0**4
    assert all(torch.equal(value, discriminator[name]) for name, value in weights(model.discriminator).items())
    assert any(not torch.equal(value, generator[name]) for name, value in weights(model.generator).items())


def test_scales_travel_with_the_checkpoint() -> None:
    one, other = growing(), growing()
    for model in (one, other):
        model.updates.scale_losses("cpu")
    one.updates.scalers["generator"] = torch.amp.GradScaler("cpu", init_scale=8.0)
    other.set_extra_state(one.get_extra_state())
    assert other.updates.scalers["generator"].get_scale() == 8.0
    assert other.updates.scalers["discriminator"].get_scale() == 2.0**16


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_what_is_no_number_never_reaches_the_weights(player: str) -> None:
    model = growing()
    before = weights(model)

    def broken(batch: Batch) -> dict[str, Tensor]:
        return {"loss": sum(p.sum() for p in getattr(model, player).parameters()) * float("nan")}

    setattr(model, f"{player}_terms", broken)
    with pytest.raises(FloatingPointError, match=rf"the {player}'s gradients are no longer finite: .*learning rate"):
        train(model, 1)
    stayed = weights(getattr(model, player))
    assert all(torch.equal(value, before[f"{player}.{name}"]) for name, value in stayed.items())


def test_a_lazy_penalty_is_rarer_and_heavier() -> None:
    always, lazy = growing(), growing("loss.penalty_every=2")
    seen: dict[str, list[dict[str, float]]] = {"always": [], "lazy": []}
    for name, model in (("always", always), ("lazy", lazy)):
        move = model.move

        def watched(player: str, batch: Batch, move: Any = move, name: str = name) -> dict[str, Tensor]:
            values: dict[str, Tensor] = move(player, batch)
            if player == "discriminator":
                seen[name].append({key: float(value) for key, value in values.items()})
            return values

        model.move = watched  # type: ignore[method-assign]
        train(model, 4)
    assert ["d_penalty" in terms for terms in seen["lazy"]] == [True, False, True, False]
    assert all("d_penalty" in terms for terms in seen["always"])
    assert seen["lazy"][0]["d_penalty"] == pytest.approx(2 * seen["always"][0]["d_penalty"])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_penalty_is_in_float32(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []

    def watched(critic: Any, points: Tensor) -> Tensor:
        kinds.append((points.dtype, critic(points).dtype))
        return penalty(critic, points)

    penalty = adversarial.gradient_penalty
    monkeypatch.setattr(adversarial, "gradient_penalty", watched)
    train(growing(), 2, precision=precision)
    assert kinds == [(torch.float32, torch.float32)] * 2


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_layout_in_memory_is_an_option(channels_last: bool) -> None:
    model = build_model("anogan", f"model.channels_last={str(channels_last).lower()}")
    kernels = [p for p in model.parameters() if p.dim() == 4 and min(p.shape) > 1]
    assert all(p.is_contiguous(memory_format=torch.channels_last) == channels_last for p in kernels)


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_optimizers_of_conf_take_adams_steps_however_weights_lie_in_memory(channels_last: bool) -> None:
    """They move all weights in one pass over memory, which must not confuse the order of weights and gradients."""
    model: Any = build_model("ganomaly", f"model.channels_last={str(channels_last).lower()}")
    weight = model.generator.encoder[0][2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    copies = copy.deepcopy(model)
    ours = model.make_optimizers["generator"](model.generator.parameters())
    plain = torch.optim.Adam(copies.generator.parameters(), lr=ours.defaults["lr"], betas=(0.5, 0.999), fused=False)
    assert ours.defaults["fused"] is True
    for optimizer, network in ((ours, model.generator), (plain, copies.generator)):
        for images in IMAGES[:24].split(8):
            optimizer.zero_grad()
            network(images).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(model.generator.state_dict(), copies.generator.state_dict(), rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own look
def test_compiled_networks_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the penalty, whose second derivatives a compiled network could not give. Traced, but not turned into C++."""
    translate = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: translate(self, backend="aot_eager"))
    plain, compiled = growing(), growing("model.compile=true")
    for model in (plain, compiled):
        train(model, 2)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], value, rtol=1e-5, atol=1e-6)
