"""Growing, followed by hand: stage, learning rate and optimizers are those of the images seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from semigan_pl.callbacks.generator_ema import GeneratorEMA
from semigan_pl.callbacks.growth import Growth
from semigan_pl.growth import Phase, ProgressiveSchedule, Stage
from semigan_pl.methods.adversarial import AdversarialModule
from tests.conftest import build_model

SCHEDULE = ProgressiveSchedule(
    [Phase(4, 0, 100, 16, 0.001), Phase(8, 100, 100, 16, 0.002), Phase(16, 100, 100, 8, 0.003)]
)
GROWING = [
    "network@model.generator=progressive_generator",
    "network@model.discriminator=progressive_discriminator",
    "network_sizes.small.fmap_max=8",
]


def growing() -> AdversarialModule:
    model = build_model("semigan", *GROWING)
    assert isinstance(model, AdversarialModule)
    return model


def trainer_of(module: AdversarialModule) -> Any:
    """Optimizers with moments of every weight, as after some steps."""
    optimizers = module.configure_optimizers()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        optimizer.zero_grad()
    return SimpleNamespace(optimizers=optimizers)


def stages(module: AdversarialModule) -> list[Stage]:
    networks = (module.generator, module.discriminator, module.ema_generator)
    return [network.stage for network in networks]  # type: ignore[misc]


def test_all_networks_follow_the_images_seen() -> None:
    module, growth = growing(), Growth(SCHEDULE, True)
    trainer = trainer_of(module)
    growth.on_train_start(trainer, module)
    seen = [(0, Stage(4), 0.001), (99, Stage(4), 0.001), (100, Stage(8, 0.0), 0.002), (150, Stage(8, 0.5), 0.002)]
    seen += [(200, Stage(8), 0.002), (325, Stage(16, 0.25), 0.003), (600, Stage(16), 0.003)]
    for images, stage, rate in seen:
        module.images_seen = images
        growth.on_train_batch_end(trainer, module, None, None, 0)
        assert stages(module) == [stage] * 3
        assert {group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups} == {rate}


@pytest.mark.parametrize("begin", ["on_train_start", "on_train_batch_end"])
def test_a_resumed_training_stands_where_it_stopped(begin: str) -> None:
    module, growth = growing(), Growth(SCHEDULE, True)
    module.images_seen = 230
    trainer = trainer_of(module)
    if begin == "on_train_start":
        growth.on_train_start(trainer, module)
        assert all(optimizer.state for optimizer in trainer.optimizers)  # moments out of a checkpoint are kept
    else:
        growth.on_train_batch_end(trainer, module, None, None, 0)
    assert stages(module) == [Stage(8)] * 3


@pytest.mark.parametrize("reset", [True, False])
def test_moments_are_forgotten_where_a_fade_starts_or_ends(reset: bool) -> None:
    module, growth = growing(), Growth(SCHEDULE, reset)
    growth.on_train_start(trainer_of(module), module)
    forgotten = []
    for images in range(10, 500, 10):
        module.images_seen = images
        trainer = trainer_of(module)
        growth.on_train_batch_end(trainer, module, None, None, 0)
        lost = {not optimizer.state for optimizer in trainer.optimizers}
        assert len(lost) == 1  # both players alike
        forgotten += [images] if lost == {True} else []
    assert forgotten == ([100, 200, 300, 400] if reset else [])


@pytest.mark.parametrize("hook", ["on_train_end", "on_validation_start", "on_test_start", "on_predict_start"])
def test_outside_of_training_networks_stand_at_full_size(hook: str) -> None:
    module, growth = growing(), Growth(SCHEDULE, True)
    growth.on_train_start(trainer_of(module), module)
    getattr(growth, hook)(None, module)
    assert stages(module) == [Stage(16)] * 3


def test_layers_that_do_not_work_yet_are_equal_in_the_average() -> None:
    """New layers start equal in both generators: nobody moves them before their time."""
    module, growth, average = growing(), Growth(SCHEDULE, True), GeneratorEMA(half_life=50)
    trainer = trainer_of(growing())
    growth.on_train_start(trainer, module)
    average.on_train_start(trainer, module)
    optimizer = module.configure_optimizers()[1]
    for step in range(1, 4):
        z = module.generator.sample_latents(8, torch.Generator().manual_seed(step))  # type: ignore[operator]
        module.generator(z).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        module.images_seen += 16
        average.on_train_batch_end(trainer, module, None, None, 0)
    pairs = zip(module.generator.named_parameters(), module.ema_generator.parameters(), strict=True)
    equal = {name: torch.equal(mine, averaged) for (name, mine), averaged in pairs}
    assert all(equal[name] for name in equal if name.startswith(("grow", "to_rgb.1", "to_rgb.2")))
    assert not any(equal[name] for name in equal if name.startswith(("project", "start", "to_rgb.0")))


def test_what_cannot_grow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"growth needs networks that grow: network@model.generator="):
        Growth(SCHEDULE, True).setup(None, build_model("anogan"), "fit")  # type: ignore[arg-type]


def test_an_encoder_keeps_its_learning_rate_and_its_moments() -> None:
    module = build_model("gan", *GROWING, "encoding=ziz", "max_images=1000", "encoding.optimizer.lr=0.07")
    assert isinstance(module, AdversarialModule)
    growth, trainer = Growth(SCHEDULE, True), trainer_of(module)
    growth.on_train_start(trainer, module)
    module.images_seen = 100
    growth.on_train_batch_end(trainer, module, None, None, 0)
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0.002, 0.002, 0.07]
    assert [bool(optimizer.state) for optimizer in trainer.optimizers] == [False, False, True]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["max_images=664"], "set both by encoder_share alone"),  # the encoder begins at 498, growing ends at 500
        (["max_images=5000", "model.gan_checkpoint=gan.ckpt"], "add growth=none"),
    ],
)
def test_an_encoder_waits_until_all_has_grown(typed: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Growth(SCHEDULE, True).setup(None, build_model("gan", *GROWING, "encoding=ziz", *typed), "fit")  # type: ignore[arg-type]
    Growth(SCHEDULE, True).setup(None, build_model("gan", *GROWING, "encoding=ziz", "max_images=667"), "fit")  # type: ignore[arg-type]


def test_without_a_schedule_nothing_is_touched() -> None:
    module, growth = growing(), Growth(None, True)
    trainer = trainer_of(module)
    module.generator.stage = Stage(8, 0.5)  # type: ignore[assignment]
    growth.setup(trainer, module, "fit")
    growth.on_train_start(trainer, module)
    growth.on_train_batch_end(trainer, module, None, None, 0)
    growth.on_test_start(trainer, module)
    assert module.generator.stage == Stage(8, 0.5)
    assert all(optimizer.state for optimizer in trainer.optimizers)
