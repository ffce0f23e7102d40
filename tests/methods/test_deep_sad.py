"""Deep SAD: two stages on one clock, a center that is where it should be, and the same after any interruption."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from semigan_pl.losses.hypersphere import away_from_zero
from semigan_pl.methods.deep_sad import DeepSAD
from semigan_pl.tasks.fit import Parts, build, plain
from semigan_pl.tasks.processes import run_in_processes, settle_devices
from semigan_pl.types import Batch
from tests.commands import SMALL
from tests.conftest import build_model, compose_config
from tests.methods.test_contract import BATCH, IMAGES, train
from tests.tasks.test_processes import train_and_keep

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")

STAGES = ["model=deep_sad", "max_images=320", "model.pretrain_share=0.5", "model.decay_at=0.6"]  # 160, in batches of 32
NORMAL = Batch(IMAGES[:16], torch.zeros(16, dtype=torch.long), torch.arange(16))


def deep_sad(*overrides: str) -> DeepSAD:
    model = build_model("deep_sad", *overrides)
    assert isinstance(model, DeepSAD)
    return model


def parts_of(folder: Path, *overrides: str) -> Parts:
    kept = ["callbacks.checkpoint.images=64", "callbacks.checkpoint.keep=true", "trainer.log_every_n_steps=1"]
    return build(compose_config(*SMALL[1:], *STAGES, *kept, f"run={folder}", *overrides))


class Watch(pl.Callback):
    """Keeps, after every batch, weights and statistics, and the learning rates by which it went."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []
        self.rates: list[list[float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.states.append(copy.deepcopy({k: v for k, v in pl_module.state_dict().items() if isinstance(v, Tensor)}))
        self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Watch, Path]:
    """An undisturbed training, and its checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    parts, watch = parts_of(folder), Watch()
    parts.trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    parts.trainer.fit(parts.model, datamodule=parts.data)
    return parts, watch, folder / "checkpoints"


def test_the_first_stage_moves_the_autoencoder_and_the_second_its_encoder_alone(
    whole: tuple[Parts, Watch, Path],
) -> None:
    states = whole[1].states
    assert len(states) == 10
    moved = [{k.rsplit(".", 1)[0] for k in new if not torch.equal(old[k], new[k])} for old, new in pairwise(states)]
    own = {name for name, module in whole[0].model.named_modules() if module._parameters or module._buffers}
    first = {name for name in own if name.startswith("autoencoder.")}
    second = {name for name in own if name.startswith("autoencoder.0.")}
    assert all(names == first for names in moved[:4])
    assert moved[4] >= second | {"center"}  # where the stage begins, center and copy move too
    assert not any(name.startswith("autoencoder.1.") for name in moved[4])
    assert all(names == second for names in moved[5:])


def test_center_and_copy_are_those_of_the_encoder_as_the_second_stage_found_it(
    whole: tuple[Parts, Watch, Path],
) -> None:
    parts, watch, _ = whole
    model = deep_sad(*STAGES[1:], "network_sizes.small.width=8")
    model.load_state_dict(watch.states[4], strict=False)  # after 160 images
    pool = torch.cat([batch.images for batch in parts.data.pool_dataloader()])
    assert len(pool) == len(parts.data.splits.train)
    with torch.no_grad():
        mean = model.encoder.eval()(pool).mean(0)
    assert (mean.abs() < 0.1).any()
    torch.testing.assert_close(parts.model.center, away_from_zero(mean, 0.1), check_stride=False)  # type: ignore[arg-type]
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, parts.model.pretrained.state_dict()[name]), name  # type: ignore[union-attr, operator]


def test_rates_fall_late_in_each_stage(whole: tuple[Parts, Watch, Path]) -> None:
    """A stage of 160 images: from its 96th on, which is its fourth batch of five."""
    high = [optimizer.defaults["lr"] for optimizer in whole[0].trainer.optimizers]
    low = [pytest.approx(0.1 * rate) for rate in high]
    assert whole[1].rates == [high, high, high, low, low] * 2


@pytest.mark.parametrize("images", [64, 192, 256])
def test_a_resumed_training_goes_the_same_way(images: int, whole: tuple[Parts, Watch, Path], tmp_path: Path) -> None:
    rest = parts_of(tmp_path)
    rest.trainer.fit(rest.model, datamodule=rest.data, ckpt_path=whole[2] / f"{images:09d}.ckpt")
    assert rest.model.images_seen == 320
    states = [parts.model.state_dict() for parts in (whole[0], rest)]
    for name, value in states[0].items():
        assert not isinstance(value, Tensor) or torch.equal(value, states[1][name]), name
    for one, other in zip(whole[0].trainer.optimizers, rest.trainer.optimizers, strict=True):
        for number, values in one.state_dict()["state"].items():
            for name, value in values.items():
                assert torch.equal(value, other.state_dict()["state"][number][name])


def test_two_processes_hold_the_same_and_the_center_of_one(whole: tuple[Parts, Watch, Path], tmp_path: Path) -> None:
    """At a rate of 0 the encoder stays what it was: the center is then that of all images, whoever looks at which."""
    still = ["model.optimizers.autoencoder.lr=0", "model.encoder.representation_dim=8", "model.least_center=0"]
    config = compose_config(*SMALL[1:], *STAGES, *still, "trainer=ddp", f"run={tmp_path}")
    settle_devices(config)
    run_in_processes(train_and_keep, plain(config), 2)
    states = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    model = deep_sad(*STAGES[1:], *still)
    prefix = "pretrained."
    model.encoder.load_state_dict({k.removeprefix(prefix): v for k, v in states[0].items() if k.startswith(prefix)})
    pool = torch.cat([batch.images for batch in whole[0].data.pool_dataloader()])
    with torch.no_grad():
        torch.testing.assert_close(states[0]["center"], model.encoder.eval()(pool).mean(0), rtol=1e-4, atol=1e-6)


def test_scores_in_closed_form() -> None:
    model = deep_sad("max_images=40")
    train(model, 3)
    found = model.predict(IMAGES[:64])
    model.eval()
    with torch.no_grad():
        distance = (model.encoder(IMAGES[:64]) - model.center).square().sum(1)
        drawn = model.decoder(model.pretrained(IMAGES[:64]))
    assert found.reconstruction is not None
    assert found.anomaly_map is not None
    torch.testing.assert_close(found.terms["distance"], distance)
    assert torch.equal(found.score, found.terms["distance"])
    torch.testing.assert_close(found.terms["residual"], (IMAGES[:64] - drawn).square().mean((1, 2, 3)))
    torch.testing.assert_close(found.reconstruction, drawn)
    torch.testing.assert_close(found.anomaly_map, (IMAGES[:64] - drawn).abs())


def test_unlabelled_images_come_to_lie_nearer_than_known_anomalies() -> None:
    model = deep_sad("max_images=960")
    train(model, 60)
    distance = model.predict(BATCH.images).terms["distance"]
    assert distance[:16].max() < distance[16:].min()


def test_without_known_anomalies_it_is_one_class() -> None:
    model = deep_sad("max_images=960")
    train(model, 20, NORMAL)
    before = model.predict(NORMAL.images).terms["distance"].mean()
    train(model, 40, NORMAL)
    assert model.predict(NORMAL.images).terms["distance"].mean() < before / 2
    assert model.images_seen == 960


def test_it_says_that_it_is_one_class(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for known in (0, 20):
        parts = parts_of(tmp_path / str(known), f"data.known_anomalies={known}", "max_images=32")
        parts.trainer.fit(parts.model, datamodule=parts.data)
        assert ("one-class Deep SVDD" in "".join(capfd.readouterr())) is (known == 0)


@pytest.mark.parametrize(("typed", "share"), [([], 8 / 24), (["model.known_share=0.5"], 0.5)])
def test_the_weight_of_known_anomalies(typed: list[str], share: float) -> None:
    model = deep_sad("max_images=1", *typed)
    trainer = train(model, 2)
    assert trainer.datamodule is None  # type: ignore[attr-defined]
    with torch.no_grad():
        terms = model.train().encoder_terms(BATCH)
        model.known_share = 0.25
        quarter = model.encoder_terms(BATCH)
    torch.testing.assert_close(terms["e_distance"], quarter["e_distance"] * (1 - share) / 0.75)
    torch.testing.assert_close(terms["e_known_anomalies"], quarter["e_known_anomalies"] * share / 0.25)


def test_of_a_data_module_the_whole_set_counts(whole: tuple[Parts, Watch, Path]) -> None:
    parts, *_ = whole
    n, m = len(parts.data.splits.train), len(parts.data.splits.train_known)
    assert isinstance(parts.model, DeepSAD)
    assert m > 0
    assert parts.model._share_of_known(BATCH) == m / (n + m)


def test_a_training_that_ends_before_its_second_stage_has_a_center(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "max_images=32", "model.pretrain_share=0.9")
    parts.trainer.fit(parts.model, datamodule=parts.data)
    assert isinstance(parts.model, DeepSAD)
    assert parts.model.begun
    assert (parts.model.center.abs() >= 0.1).all()
    first = parts.model.predict(IMAGES[:8])
    assert first.reconstruction is not None
    parts.model.begun = False  # the copy is the encoder itself
    second = parts.model.predict(IMAGES[:8]).reconstruction
    assert second is not None
    assert torch.equal(first.reconstruction, second)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model.pretrain_share=0", r"model\.pretrain_share=0 must lie in \(0, 1\)"),
        ("model.pretrain_share=1", r"model\.pretrain_share=1 must lie in \(0, 1\)"),
        ("model.known_share=1", r"model\.known_share=1 must lie in \(0, 1\)"),
        ("model.decay_at=1", r"model\.decay_at=1 must lie in \[0, 1\)"),
        ("model.decay=0", r"model\.decay=0 must be"),
        ("model.eta=-1", r"model\.eta=-1 must be"),
        ("model.epsilon=0", r"model\.epsilon=0 must be"),
        ("model.least_center=-1", r"model\.least_center=-1 must be"),
    ],
)
def test_what_is_refused(typed: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        deep_sad(typed)
