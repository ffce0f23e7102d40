"""Health of a training: when it is measured, what is said of it, and that nobody could tell it was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from semigan_pl.callbacks import health
from semigan_pl.callbacks.health import HealthMonitor, measure
from semigan_pl.evaluation.diversity import relative_diversity, separation
from semigan_pl.growth import Stage, double, set_stage
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.types import Batch
from tests.conftest import build_model

PROGRESSIVE = (
    "network@model.generator=progressive_generator",
    "network@model.discriminator=progressive_discriminator",
    "network_sizes.small.fmap_max=8",
)
OPTIONS = {
    "checks": 4,
    "images": 32,
    "max_images": 1000,
    "warm_up": 0,
    "least_diversity": 0.2,
    "most_d_accuracy": 0.9,
    "in_a_row": 2,
    "stop": False,
}
GOOD, COLLAPSED, OVERPOWERED = (
    {"diversity": 1.0, "d_accuracy": 0.7},
    {"diversity": 0.05, "d_accuracy": 0.7},
    {"diversity": 1.0, "d_accuracy": 0.95},
)


def monitor(**options: Any) -> HealthMonitor:
    return HealthMonitor(**OPTIONS | options)


def gan(*overrides: str) -> AdversarialModule:
    module = build_model("gan", *overrides)
    assert isinstance(module, AdversarialModule)
    return module


def batch_of(n: int, size: int = 16, known: int = 3, seed: int = 0) -> Batch:
    images = torch.rand(n + known, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Batch(images, torch.tensor([0] * n + [1] * known), torch.arange(n + known))


class Curves(pl.loggers.logger.DummyLogger):
    """Keeps what is logged, by images seen."""

    def __init__(self) -> None:
        super().__init__()
        self.health: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step is not None and any(name.startswith("health/") for name in metrics):
            self.health[step] = metrics


class FakeTrainer(SimpleNamespace):
    """As much of a trainer as the monitor looks at; what it prints is kept."""

    def __init__(self, folder: Path = Path(), rank: int = 0, world_size: int = 1, verdict: str = "") -> None:
        self.curves, self.printed = Curves(), []  # type: ignore[var-annotated]
        super().__init__(loggers=[self.curves], is_global_zero=rank == 0, world_size=world_size)
        self.print = self.printed.append
        self.default_root_dir = str(folder)
        self.strategy = SimpleNamespace(broadcast=lambda own: own if rank == 0 else verdict)
        self.save_checkpoint = lambda path: (path.parent.mkdir(exist_ok=True), path.write_text("weights"))


def train(checked: HealthMonitor, module: AdversarialModule, trainer: Any, until: int, batch: int = 50) -> None:
    checked.on_train_start(trainer, module)
    while module.images_seen < until:
        module.moved = module.turn()
        module.batches_seen += 1
        module.images_seen += batch
        checked.on_train_batch_end(trainer, module, None, batch_of(batch), 0)


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What the checks will find, one after the other; then everything is well."""
    to_come: list[dict[str, float]] = []
    monkeypatch.setattr(health, "measure", lambda *_, **__: to_come.pop(0) if to_come else GOOD)
    return to_come


@pytest.mark.parametrize(
    ("checks", "batch", "start", "expected"),
    [
        (4, 50, 0, [250, 500, 750, 1000]),
        (4, 64, 0, [256, 512, 768, 1024]),
        (4, 50, 500, [750, 1000]),  # continued: the distances stay
        (4, 50, 550, [750, 1000]),
        (40, 200, 0, [200, 400, 600, 800, 1000]),  # a check at each batch at most
        (0, 50, 0, []),
    ],
)
def test_checks_come_at_regular_distances(
    findings: list[dict[str, float]], checks: int, batch: int, start: int, expected: list[int]
) -> None:
    module, trainer = gan(), FakeTrainer()
    module.images_seen = start
    train(monitor(checks=checks), module, trainer, until=1000, batch=batch)
    assert list(trainer.curves.health) == expected


def test_what_is_logged_is_what_the_networks_make() -> None:
    module, trainer = gan(), FakeTrainer()
    train(monitor(checks=1, images=32), module, trainer, until=1000)
    z = module.generator.sample_latents(32, torch.Generator().manual_seed(0))  # type: ignore[operator]
    module.eval()
    with torch.no_grad():
        generated, real = module.generator(z), batch_of(50).unlabelled[-32:]
        accuracy = separation(module.discriminator(real), module.discriminator(generated))
    logged = trainer.curves.health[1000]
    assert list(logged) == ["health/d_accuracy", "health/diversity", "health/swd_16"]
    assert logged["health/d_accuracy"] == pytest.approx(accuracy)
    assert logged["health/diversity"] == pytest.approx(relative_diversity(generated, real), rel=1e-5)
    assert 0 < logged["health/swd_16"] < 1


def test_real_images_as_generated_ones_are_at_zero() -> None:
    module = gan()
    z = module.generator.sample_latents(20, torch.Generator().manual_seed(0))  # type: ignore[operator]
    with torch.no_grad():
        real = module.eval().generator(z)
    assert measure(module, real, block_size=20) == {"d_accuracy": 0.5, "diversity": 1.0, "swd_16": 0.0}


def seen_by_checks(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The real images of each check to come."""
    seen: list[Tensor] = []

    def look(module: AdversarialModule, real: Tensor, block_size: int) -> dict[str, float]:
        seen.append(real)
        return GOOD

    monkeypatch.setattr(health, "measure", look)
    return seen


@pytest.mark.parametrize(("images", "expected"), [(32, 32), (120, 120), (5000, 250)])
def test_a_check_sees_the_last_unlabelled_images(monkeypatch: pytest.MonkeyPatch, images: int, expected: int) -> None:
    seen = seen_by_checks(monkeypatch)
    train(monitor(images=images), gan(), FakeTrainer(), until=1000)
    assert [len(real) for real in seen] == [expected] * 4
    assert torch.equal(seen[0][-32:], batch_of(50).unlabelled[-32:])


def test_large_images_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_by_checks(monkeypatch)
    monkeypatch.setattr(health, "MOST_VALUES", 12 * 16 * 16)
    train(monitor(images=100), gan(), FakeTrainer(), until=250)
    assert [len(real) for real in seen] == [12]


def test_images_of_an_earlier_resolution_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, module, checked = seen_by_checks(monkeypatch), gan(), monitor(images=1000)
    checked.on_train_start(FakeTrainer(), module)  # type: ignore[arg-type]
    for size in (8, 8, 16, 16):
        module.images_seen += 63
        checked.on_train_batch_end(FakeTrainer(), module, None, batch_of(20, size), 0)  # type: ignore[arg-type]
    assert [tuple(real.shape) for real in seen] == [(40, 1, 16, 16)]


def test_a_stage_that_has_just_moved_on_is_shown_doubled_images() -> None:
    """At (16 px, alpha 0) both networks are those of 8 px, and see everything doubled."""
    module, real = gan(*PROGRESSIVE), batch_of(20, 8).unlabelled
    set_stage(module, Stage(8))
    before = measure(module, real, block_size=10)
    set_stage(module, Stage(16, 0.0))
    after = measure(module, real, block_size=10)
    assert after == measure(module, double(real), block_size=10)
    assert after["d_accuracy"] == pytest.approx(before["d_accuracy"])
    assert after["diversity"] == pytest.approx(before["diversity"], rel=1e-5)
    assert (*before, *after) == ("d_accuracy", "diversity", "swd_8", "d_accuracy", "diversity", "swd_16")


class Loader:
    """The same batches every time; a plain iterable, as the project's loaders are."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Any:
        return iter(batch_of(16, seed=seed) for seed in range(6))


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize("networks", [(), PROGRESSIVE], ids=["dcgan", "progressive"])
def test_the_training_is_the_same_to_the_bit(tmp_path: Path, networks: tuple[str, ...]) -> None:
    """Weights, running statistics, spectral norms, optimizers, and the random numbers of torch."""
    ends = []
    for checks in (0, 6):
        module, curves = gan(*networks, "model.gamma=0.9"), Curves()
        torch.manual_seed(1)
        trainer = pl.Trainer(
            default_root_dir=tmp_path,
            callbacks=[monitor(checks=checks, max_images=96)],
            accelerator="cpu",
            max_epochs=1,
            logger=curves,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
        )
        trainer.fit(module, Loader())
        assert len(curves.health) == checks
        optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
        ends.append((module.state_dict(), optimizers, torch.get_rng_state()))
        assert all(part.training for part in module.generator.modules())
        assert all(parameter.requires_grad for parameter in module.discriminator.parameters())
    torch.testing.assert_close(*(end[1:] for end in ends), rtol=0, atol=0)
    tensors = [{name: value for name, value in end[0].items() if isinstance(value, Tensor)} for end in ends]
    assert len(tensors[0]) > 20
    torch.testing.assert_close(*tensors, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (COLLAPSED, ["0.05 times as diverse", "least_diversity=0.2", "optimizer.generator.lr", "2 checks in a row"]),
        (OVERPOWERED, ["share of 0.95", "most_d_accuracy=0.9", "optimizer.discriminator.lr", "loss=wasserstein"]),
    ],
)
def test_trouble_is_told_once_and_with_advice(
    findings: list[dict[str, float]], found: dict[str, float], words: list[str]
) -> None:
    findings += [GOOD, found, GOOD, found, found, found, GOOD, found, found]
    trainer = FakeTrainer()
    train(monitor(checks=10), gan(), trainer, until=1000)
    (sentence,) = trainer.printed
    assert sentence.startswith("Health: ")
    assert all(word in sentence for word in words)


def test_each_kind_of_trouble_is_told(findings: list[dict[str, float]]) -> None:
    findings += [COLLAPSED | {"d_accuracy": 1.0}] * 3
    trainer = FakeTrainer()
    train(monitor(), gan(), trainer, until=1000)
    assert ["diverse" in sentence for sentence in trainer.printed] == [True, False]


def test_a_healthy_training_hears_nothing(findings: list[dict[str, float]]) -> None:
    findings += [GOOD, COLLAPSED, OVERPOWERED, COLLAPSED]  # never the same twice in a row
    trainer = FakeTrainer()
    train(monitor(), gan(), trainer, until=1000)
    assert not trainer.printed


@pytest.mark.parametrize(("critic_steps", "told"), [(1, 1), (2, 0)])
def test_a_beginner_hears_nothing(findings: list[dict[str, float]], critic_steps: int, told: int) -> None:
    """Checks come after 5, 10, 15 and 20 batches; the last two are past a warm up of 12 generator steps, or none."""
    findings += [COLLAPSED] * 4
    trainer = FakeTrainer()
    train(monitor(warm_up=12), gan(f"model.critic_steps={critic_steps}"), trainer, until=1000)
    assert (len(trainer.printed), len(trainer.curves.health)) == (told, 4)


def test_a_continued_training_remembers(findings: list[dict[str, float]]) -> None:
    findings += [COLLAPSED] * 6
    module, first, second, third = gan(), FakeTrainer(), FakeTrainer(), FakeTrainer()
    stopped, continued, again = monitor(), monitor(), monitor()
    train(stopped, module, first, until=250)
    continued.load_state_dict(stopped.state_dict())
    train(continued, module, second, until=500)
    again.load_state_dict(continued.state_dict())
    train(again, module, third, until=1000)
    assert [len(trainer.printed) for trainer in (first, second, third)] == [0, 1, 0]


def test_it_stops_only_if_asked_and_says_how_to_go_on(findings: list[dict[str, float]], tmp_path: Path) -> None:
    findings += [COLLAPSED] * 4
    module, trainer = gan(), FakeTrainer(tmp_path)
    with pytest.raises(ValueError, match=r"stop=true\): the generated images are 0\.05 times") as error:
        train(monitor(stop=True), module, trainer, until=1000)
    assert module.images_seen == 500
    assert not trainer.printed  # the error says it
    assert (tmp_path / "checkpoints" / "last.ckpt").read_text() == "weights"
    assert f"'run={tmp_path}' checkpoint=last callbacks.health.stop=false" in str(error.value)


def test_a_healthy_training_is_not_stopped(findings: list[dict[str, float]]) -> None:
    module = gan()
    train(monitor(stop=True), module, FakeTrainer(), until=1000)
    assert module.images_seen == 1000


def test_other_processes_only_wait_for_the_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = seen_by_checks(monkeypatch)
    train(monitor(stop=True), gan(), trainer := FakeTrainer(tmp_path, rank=1, world_size=2), until=1000)
    assert not seen
    assert not trainer.curves.health
    with pytest.raises(ValueError, match="stop=true"):
        train(monitor(stop=True), gan(), FakeTrainer(tmp_path, 1, 2, verdict="collapsed."), until=1000)


def test_a_method_without_players_is_left_alone() -> None:
    other: Any = SimpleNamespace(images_seen=0)
    trainer: Any = FakeTrainer()
    checked = monitor()
    checked.on_train_start(trainer, other)
    other.images_seen = 1000
    checked.on_train_batch_end(trainer, other, None, batch_of(4), 0)
    assert not trainer.curves.health


def test_one_image_is_too_few_to_say_anything() -> None:
    trainer = FakeTrainer()
    train(monitor(checks=1000), gan(), trainer, until=3, batch=1)
    assert not trainer.curves.health


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("checks", -1),
        ("images", 1),
        ("max_images", 0.5),
        ("warm_up", -1),
        ("least_diversity", -0.1),
        ("most_d_accuracy", 1.1),
        ("in_a_row", 0),
        ("stop", "yes"),
    ],
)
def test_options_that_make_no_sense(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{option}={value} must be"):
        monitor(**{option: value})


def test_a_game_that_is_over_is_not_spoken_of(findings: list[dict[str, float]]) -> None:
    """The last check is that of the last batch that both players moved in, here at half of the training."""
    findings += [COLLAPSED] * 4
    module, trainer = gan("encoding=izi", "max_images=1000", "encoder_share=0.5"), FakeTrainer()
    train(monitor(in_a_row=3), module, trainer, until=1000)
    assert list(trainer.curves.health) == [250, 500]
    assert not trainer.printed
