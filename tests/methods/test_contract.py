"""What every method of `conf/model/` owes: run over each yaml, so that a new method is under contract at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from semigan_pl.callbacks.generator_ema import GeneratorEMA
from semigan_pl.evaluation.scores import ScoreTable
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.types import Batch
from tests.conftest import LEARNED, MODELS, build_model, compose_config

pytestmark = [  # these trainings need no validation, and features are never trained: Lightning wonders
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode"),
]

IMAGES = torch.rand(70, 1, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1
BATCH = Batch(IMAGES[:24], torch.tensor([0] * 16 + [1] * 8), torch.arange(24))


def train(module: AnomalyModule, batches: int, batch: Batch = BATCH, **options: Any) -> pl.Trainer:
    """Some training steps on the same batch."""
    trainer = pl.Trainer(
        callbacks=[GeneratorEMA(half_life=64)],
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )
    trainer.fit(module, _Repeated(batches, batch))
    return trainer


class _Repeated:
    """`n` times the same batch; a plain iterable, as the project's loaders are."""

    def __init__(self, n: int, batch: Batch) -> None:
        self.n = n
        self.batch = batch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Any:
        return iter([self.batch] * self.n)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@pytest.fixture(params=MODELS)
def module(request: pytest.FixtureRequest) -> AnomalyModule:
    """Each model, trained a little (running statistics have moved), an encoder too, and calibrated."""
    model = build_model(request.param, "max_images=40")  # where there is an encoder, the third batch is its
    train(model, 3)
    terms = {name: values.numpy() for name, values in model.predict(IMAGES).terms.items()}
    labels = np.array([0] * 60 + [1] * 10)
    model.calibrate(ScoreTable(np.arange(70), labels, terms))
    return model


def test_every_answer_has_its_shape_and_is_finite(module: AnomalyModule) -> None:
    prediction = module.predict(IMAGES)
    assert prediction.score.shape == (70,)
    assert torch.equal(prediction.score, prediction.terms[module.decision.score])
    for name, values in prediction.terms.items():
        assert values.shape == (70,), name
        assert values.isfinite().all(), name
    if prediction.anomaly_map is not None:
        assert prediction.anomaly_map.shape == (70, 1, 16, 16)
        assert (prediction.anomaly_map >= 0).all()
    if prediction.reconstruction is not None:
        assert prediction.reconstruction.shape == IMAGES.shape
        assert prediction.reconstruction.abs().max() <= 1


@pytest.mark.parametrize("n", [1, 3, 17, 64])
def test_no_term_of_an_image_depends_on_its_batch(module: AnomalyModule, n: int) -> None:
    whole = module.predict(IMAGES)
    part = module.predict(IMAGES[5 : 5 + n])
    for name, values in part.terms.items():
        assert torch.equal(values, whole.terms[name][5 : 5 + n]), name
    if part.anomaly_map is not None and whole.anomaly_map is not None:
        assert torch.equal(part.anomaly_map, whole.anomaly_map[5 : 5 + n])


@pytest.mark.parametrize(("size", "channels", "threads"), [(32, 3, 1), (64, 1, 2)])
def test_no_term_depends_on_the_batch_at_other_shapes(size: int, channels: int, threads: int) -> None:
    torch.set_num_threads(threads)
    shape = [f"data.image_size={size}", f"data.channels={channels}", "network_sizes.small.width=32", "block_size=16"]
    model = build_model("semigan", *shape)
    images = torch.rand(20, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    model.generator(torch.randn(16, 6))  # type: ignore[operator]  # moves running statistics
    whole, part = model.predict(images).terms, model.predict(images[7:10]).terms
    assert all(torch.equal(values, whole[name][7:10]) for name, values in part.items())


@pytest.mark.parametrize(("size", "channels"), [(28, 3), (64, 1), (128, 3)])
@pytest.mark.parametrize("name", MODELS)
def test_every_size_and_colour(name: str, size: int, channels: int) -> None:
    small = ["network_sizes.small.width=2", "block_size=4", "search.starts=2", "search.steps=1", "max_images=8"]
    model = build_model(name, f"data.image_size={size}", f"data.channels={channels}", *small)
    images = torch.rand(8, channels, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1
    train(model, 2, Batch(images, torch.tensor([0] * 4 + [1] * 4), torch.arange(8)))
    prediction = model.predict(images[:3])
    assert prediction.score.shape == (3,)
    assert prediction.score.isfinite().all()
    if prediction.anomaly_map is not None:
        assert prediction.anomaly_map.shape == (3, 1, size, size)


def test_no_term_depends_on_the_order(module: AnomalyModule) -> None:
    order = torch.randperm(70, generator=torch.Generator().manual_seed(0))
    whole, shuffled = module.predict(IMAGES), module.predict(IMAGES[order])
    for name, values in shuffled.terms.items():
        assert torch.equal(values, whole.terms[name][order]), name


def test_answers_repeat_and_do_not_touch_the_global_generator(module: AnomalyModule) -> None:
    first = module.predict(IMAGES[:8])
    torch.manual_seed(123)
    before = torch.get_rng_state()
    second = module.predict(IMAGES[:8])
    assert torch.equal(before, torch.get_rng_state())
    for name, values in first.terms.items():
        assert torch.equal(values, second.terms[name]), name


def test_inference_mode_and_training_mode_change_nothing(module: AnomalyModule) -> None:
    evaluated = module.eval().predict(IMAGES[:8]).score
    state = {name: value.clone() for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    with torch.inference_mode():
        tested = module.train().predict(IMAGES[:8].clone()).score
    assert torch.equal(evaluated, tested)
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            assert torch.equal(state[name], value), f"predicting moved {name}"


def test_a_checkpoint_keeps_scores_and_decisions(module: AnomalyModule, tmp_path: Path) -> None:
    torch.save(module.state_dict(), tmp_path / "state.pt")
    restored = build_model(module.name, "seed=7", "search.seed=0")
    for value in restored.state_dict().values():  # nothing of the original may come from the shared first weights
        if isinstance(value, Tensor) and value.is_floating_point():
            value.add_(0.1)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    before, after = module.predict(IMAGES[:20]), restored.predict(IMAGES[:20])
    assert list(before.terms) == list(after.terms)
    for name, values in before.terms.items():
        assert torch.equal(values, after.terms[name]), name
    assert restored.threshold == module.threshold
    assert restored.images_seen == module.images_seen == 48


def snapshot(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moved(network: nn.Module, before: list[Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("name", LEARNED)
def test_each_players_step_moves_only_its_own_parameters(name: str) -> None:
    often = ["model.critic_steps=1"] if is_adversarial(name) else []
    model = build_model(name, "max_images=40", *often)  # a method of stages comes to its second one
    assert isinstance(model, LearnedModule)
    owners = {player: {id(p) for p in model.network_of(player).parameters()} for player in model.players}
    turns, movers = [], []

    def move(player: str, batch: Batch) -> dict[str, Tensor]:
        before = {id(p): p.detach().clone() for p in model.parameters()}
        values = LearnedModule.move(model, player, batch)
        changed = {id(p) for p in model.parameters() if not torch.equal(p, before[id(p)])}
        assert changed, f"{player} did not move"
        assert changed <= owners[player], f"the step of {player} moved something else"
        assert all(name[0] == player[0] for name in values)
        movers.append(player)
        return values

    model.move = move  # type: ignore[method-assign]
    turn = model.turn
    model.turn = lambda: turns.append(turn()) or turns[-1]  # type: ignore[method-assign, func-returns-value]
    train(model, 3)
    assert movers == [player for turn in turns for player in turn]
    assert set(movers) == set(model.players)


@pytest.mark.parametrize("name", LEARNED)
def test_critic_steps_follow_a_saved_counter(name: str) -> None:
    model = build_model(name, *(["model.critic_steps=3"] if is_adversarial(name) else []))
    if not isinstance(model, AdversarialModule):
        pytest.skip(f"{name} has no critic")
    model.batches_seen = 2  # as restored from a checkpoint: the third batch completes the cycle
    before = snapshot(model.generator)
    train(model, 1)
    assert moved(model.generator, before)
    before = snapshot(model.generator)
    train(model, 2)
    assert not moved(model.generator, before)


def is_adversarial(name: str) -> bool:
    return "critic_steps" in compose_config(f"model={name}").model


@pytest.mark.parametrize("loss", ["nonsaturating", "saturating", "hinge", "wasserstein", "least_squares"])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_every_loss_trains_under_the_mixture(loss: str, gamma: float) -> None:
    model = build_model("semigan", f"loss={loss}", f"model.gamma={gamma}")
    train(model, 2)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_semigan_at_gamma_one_is_anogan_to_the_bit() -> None:
    semigan, anogan = build_model("semigan", "model.gamma=1"), build_model("anogan")
    for model in (semigan, anogan):
        train(model, 4)
    for name, value in anogan.state_dict().items():
        if isinstance(value, Tensor):
            assert torch.equal(value, semigan.state_dict()[name]), name
    ours, theirs = semigan.predict(IMAGES[:8]).terms, anogan.predict(IMAGES[:8]).terms
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_known_anomalies_change_training_below_gamma_one() -> None:
    states = []
    for gamma in (0.5, 1.0):
        model = build_model("semigan", f"model.gamma={gamma}")
        train(model, 2)
        states.append(torch.cat([p.detach().flatten() for p in model.discriminator.parameters()]))  # type: ignore[operator,union-attr]
    assert not torch.equal(*states)


def test_noise_is_a_function_of_seed_and_images_seen() -> None:
    model = build_model("anogan")
    assert isinstance(model, AdversarialModule)
    draws = [torch.randn(4, generator=model.noise_at(seen)) for seen in (64, 64, 128)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
