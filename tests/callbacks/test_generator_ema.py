"""The moving average of the generator against its closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.callbacks.generator_ema import GeneratorEMA, update_average
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.types import Inspection
from tests.conftest import build_model

TRAINER: Any = None  # the callback does not look at it


def gan() -> AdversarialModule:
    module = build_model("gan")
    assert isinstance(module, AdversarialModule)
    return module


def fill(network: nn.Module, value: float) -> None:
    for tensor in network.state_dict().values():
        tensor.fill_(value)


def see(ema: GeneratorEMA, module: AnomalyModule, images: int) -> None:
    if isinstance(module, LearnedModule):
        module.moved = module.turn()
    module.images_seen += images
    ema.on_train_batch_end(TRAINER, module, None, None, 0)


def numbers(network: nn.Module) -> list[Tensor]:
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def test_one_update_is_a_weighted_mean() -> None:
    average, current = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    fill(average, 10)
    fill(current, 20)
    update_average(average, current, 0.9)
    for value in numbers(average):  # running statistics too
        torch.testing.assert_close(value, torch.full_like(value, 0.9 * 10 + 0.1 * 20))
    assert average.num_batches_tracked == 20  # a count has no mean
    for value in numbers(current):
        assert (value == 20).all()


def test_several_updates_against_the_closed_form() -> None:
    """From the early rule (half life = images seen / 20) over to the late one (1000), in batches of unequal size."""
    module, ema = gan(), GeneratorEMA(half_life=1000)
    fill(module.ema_generator, 0)
    ema.on_train_start(TRAINER, module)
    expected, seen = 0.0, 0
    for step, batch in enumerate([64, 64, 8, 5000, 20_000, 300, 64], start=1):
        fill(module.generator, step)
        see(ema, module, batch)
        seen += batch
        decay = 0.5 ** (batch / min(1000, seen / 20))
        expected = decay * expected + (1 - decay) * step
    for value in numbers(module.ema_generator):
        torch.testing.assert_close(value, torch.full_like(value, expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize("batches", [1, 4, 50])
def test_half_a_life_halves_the_gap_whatever_the_batch_size(batches: int) -> None:
    module, ema = gan(), GeneratorEMA(half_life=4000)
    module.images_seen = 100_000  # late: a twentieth of it is more than the half life
    ema.on_train_start(TRAINER, module)
    fill(module.ema_generator, 0)
    fill(module.generator, 8)
    for _ in range(batches):
        see(ema, module, 4000 // batches)
    for value in numbers(module.ema_generator):
        torch.testing.assert_close(value, torch.full_like(value, 4.0))


def test_the_first_weights_are_forgotten_at_once() -> None:
    module, ema = gan(), GeneratorEMA(half_life=40_000)
    fill(module.ema_generator, 1e3)
    fill(module.generator, 0)
    ema.on_train_start(TRAINER, module)
    see(ema, module, 64)  # 64 images at a half life of 3.2: twenty halvings
    for value in numbers(module.ema_generator):
        torch.testing.assert_close(value, torch.full_like(value, 1e3 * 0.5**20))


def test_resuming_counts_from_where_training_stands() -> None:
    module, ema = gan(), GeneratorEMA(half_life=1000)
    module.images_seen = 500_000
    ema.on_train_start(TRAINER, module)
    fill(module.ema_generator, 0)
    fill(module.generator, 1)
    see(ema, module, 100)
    for value in numbers(module.ema_generator):
        torch.testing.assert_close(value, torch.full_like(value, 1 - 0.5**0.1))


def test_only_the_average_moves() -> None:
    module, ema = gan(), GeneratorEMA(half_life=1000)
    fill(module.ema_generator, 0)
    states = {name: value.clone() for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    ema.on_train_start(TRAINER, module)
    see(ema, module, 64)
    moved = {
        name.partition(".")[0] for name, before in states.items() if not torch.equal(before, module.state_dict()[name])
    }
    assert moved == {"ema_generator"}
    assert not any(parameter.requires_grad for parameter in module.ema_generator.parameters())


class OneNetwork(AnomalyModule):
    """A method without players."""

    terms = ("distance",)

    def inspect(self, images: Tensor) -> Inspection:
        return Inspection({"distance": images.flatten(1).norm(dim=1)})


def test_a_method_without_players_is_left_alone() -> None:
    module = OneNetwork("one", Decision("distance", None, None, 3.0, 0.95), block_size=4)
    ema = GeneratorEMA(half_life=1000)
    ema.on_train_start(TRAINER, module)
    see(ema, module, 64)
    assert not hasattr(module, "ema_generator")


def test_the_average_rests_while_an_encoder_learns() -> None:
    """The batch that reaches the border is still the generator's."""
    module, ema = build_model("gan", "encoding=izi", "max_images=200", "encoder_share=0.5"), GeneratorEMA(half_life=1)
    assert isinstance(module, AdversarialModule)
    fill(module.ema_generator, 0)
    fill(module.generator, 1)
    ema.on_train_start(TRAINER, module)
    see(ema, module, 100)
    reached = [value.clone() for value in numbers(module.ema_generator)]
    assert all((value > 0.9).all() for value in reached)
    fill(module.generator, 100)
    for _ in range(3):
        see(ema, module, 50)
    assert all(torch.equal(a, b) for a, b in zip(reached, numbers(module.ema_generator), strict=True))
