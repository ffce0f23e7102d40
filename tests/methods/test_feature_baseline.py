"""Classical baselines as methods: what is fitted to what, both protocols, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD

from semigan_pl.baselines.cop import CoP
from semigan_pl.methods.feature_baseline import FeatureBaseline
from semigan_pl.types import Batch
from tests.commands import call, scores
from tests.conftest import CLASSICAL, build_model, compose_config
from tests.methods.test_contract import IMAGES, train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode"),
]
DIGITS = ["data=digits", "data.normal_classes=[8]", "data.test_limit=60"]


def pixels(*splits: str) -> NDArray[np.float32]:
    """What `features=pixels` gives of the digits."""
    data = instantiate(compose_config(*DIGITS).data.module, _convert_="all")
    return np.concatenate([batch.images.flatten(1).numpy() for batch in data.split_dataloader(*splits)])


def test_unlabelled_images_are_fitted_and_nothing_else() -> None:
    module = build_model("cop")
    assert isinstance(module, FeatureBaseline)
    train(module, 1, Batch(IMAGES[:24], torch.tensor([0] * 16 + [1] * 8), torch.arange(24)))
    expected = CoP(2).fit(IMAGES[:16].flatten(1).numpy())
    assert module.images_seen == 16
    np.testing.assert_allclose(
        module.predict(IMAGES).score.numpy(), expected.anomaly_score(IMAGES.flatten(1).numpy()), rtol=1e-5
    )


def test_principal_components_are_those_of_what_is_fitted() -> None:
    module = build_model("cop", "features=pca", "features.components=5")
    train(module, 1, Batch(IMAGES[:32], torch.zeros(32), torch.arange(32)))
    vectors = IMAGES.flatten(1).double().numpy()
    reduced = TruncatedSVD(5, algorithm="arpack", random_state=0).fit(vectors[:32]).transform(vectors)
    expected = CoP(2).fit(reduced[:32]).anomaly_score(reduced)
    np.testing.assert_allclose(module.predict(IMAGES).score.numpy(), expected, rtol=1e-5)


def test_all_components_change_no_score() -> None:
    scores = []
    for features in (["features=pixels"], ["features=pca", "features.components=256"]):
        module = build_model("reaper", *features)
        train(module, 1, Batch(IMAGES[:60], torch.zeros(60), torch.arange(60)))
        scores.append(module.predict(IMAGES[:60]).score)
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each protocol."""
    place = tmp_path_factory.mktemp("runs")
    for protocol in ("inductive", "transductive"):
        done = call(place, *DIGITS, "model=cop", f"model.protocol={protocol}", f"run={protocol}")
        assert done.returncode == 0, done.stderr
    return place


def test_the_inductive_protocol_fits_training_and_scores_the_test(runs: Path) -> None:
    expected = CoP(2).fit(pixels("train")).anomaly_score(pixels("test"))
    np.testing.assert_allclose(scores(runs / "inductive")["score"], expected, rtol=1e-5)


def test_the_transductive_protocol_fits_and_scores_the_test_set_itself(runs: Path) -> None:
    np.testing.assert_allclose(scores(runs / "transductive")["score"], CoP(2).fit(pixels("test")).own_scores, rtol=1e-5)


def test_its_threshold_comes_from_a_fit_of_training_and_validation(runs: Path) -> None:
    content = torch.load(runs / "transductive" / "checkpoints" / "last.ckpt", weights_only=True)
    calibration = content["state_dict"]["_extra_state"]["calibration"]
    data = instantiate(compose_config(*DIGITS).data.module, _convert_="all")
    positions = data.positions_of("train", "val", "val_known")
    own = CoP(2).fit(pixels("train", "val", "val_known")).own_scores
    pool = own[np.isin(positions, data.splits.val)]
    assert calibration["centers"]["outlyingness"] == pytest.approx(np.median(pool), rel=1e-5)


def test_a_transductive_run_scores_no_new_image(runs: Path) -> None:
    done = call(runs, "task=audit", "checkpoint=transductive/checkpoints/last.ckpt", "run=audit")
    assert done.returncode == 1
    assert "model.protocol=transductive, which scores a whole set and no new image" in done.stderr


def test_an_inductive_run_scores_new_images(runs: Path) -> None:
    done = call(runs, "task=audit", "checkpoint=inductive/checkpoints/last.ckpt", "run=audit")
    assert done.returncode == 0, done.stderr


def test_a_run_continues_to_the_same_scores(runs: Path) -> None:
    before = scores(runs / "inductive")["score"]
    done = call(runs, "run=inductive", "checkpoint=last")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(before, scores(runs / "inductive")["score"])


@pytest.mark.parametrize("length", ["max_images=0", "max_images=64"])
def test_the_length_of_training_changes_nothing(runs: Path, length: str) -> None:
    done = call(runs, *DIGITS, "model=cop", length, f"run={length.replace('=', '_')}")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(scores(runs / "inductive")["score"], scores(runs / length.replace("=", "_"))["score"])


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_baseline_finds_what_lies_outside_of_a_subspace(name: str) -> None:
    chance = torch.Generator().manual_seed(0)
    directions = torch.randn(5, 256, generator=chance)
    inliers = torch.randn(120, 5, generator=chance) @ directions
    images = torch.cat([inliers, 3 * torch.randn(40, 256, generator=chance)]).view(-1, 1, 16, 16)
    images /= images.flatten(1).abs().amax(1).view(-1, 1, 1, 1)
    module = build_model(name)
    train(module, 1, Batch(images[:100], torch.zeros(100), torch.arange(100)))
    found = module.predict(images[100:]).score
    assert found[:20].max() < found[20:].min()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model=cop", "model.protocol=both"], "model.protocol=both is unknown: use inductive or transductive"),
        (["model=gan", "features=pixels"], "features= is of no use to model=gan: leave it out"),
        (["model=cop", "features=none"], "model=cop needs features"),
        (["model=cop", "features=discriminator"], "features=discriminator needs features.checkpoint=PATH"),
        (["model=reaper", "model.baseline.dimension=0"], "model.baseline.dimension=0 must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, typed: list[str], said: str) -> None:
    done: Any = call(tmp_path, *DIGITS, *typed, "run=new")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def on_a_gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GAN, and a run on its discriminator's features."""
    place = tmp_path_factory.mktemp("gan")
    small = ["network_sizes.small.width=8", "max_images=64"]
    assert call(place, *DIGITS, *small, "model=gan", "run=gan").returncode == 0
    features = ["features=discriminator", "features.checkpoint=gan/checkpoints/last.ckpt"]
    done = call(place, *DIGITS, *small, "model=cop", *features, "data.contamination=0", "run=cop")
    assert done.returncode == 0, done.stderr
    return place


def test_what_the_gan_has_seen_is_not_forgotten(on_a_gan: Path) -> None:
    gan, cop = (
        torch.load(on_a_gan / name / "checkpoints" / "last.ckpt", weights_only=True)["data"]["used"].tolist()
        for name in ("gan", "cop")
    )
    assert set(gan) <= set(cop)
    done = call(on_a_gan, "checkpoint=cop/checkpoints/last.ckpt", "data.anomaly_test_share=0.95", "run=leak")
    assert done.returncode == 1
    assert "test images are among those that the checkpoint was trained on" in done.stderr


def test_a_checkpoint_brings_the_weights_of_its_features(on_a_gan: Path) -> None:
    typed = ["model=cop", "features=discriminator", "features.checkpoint=nowhere.ckpt"]
    done = call(on_a_gan, "checkpoint=cop/checkpoints/last.ckpt", *typed, "run=other")
    assert done.returncode == 1
    assert "features.checkpoint=nowhere.ckpt has no effect beside checkpoint=" in done.stderr
    done = call(on_a_gan, "checkpoint=cop/checkpoints/last.ckpt", "run=again")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(scores(on_a_gan / "again")["score"], scores(on_a_gan / "cop")["score"])
