"""Wrong values of options: one sentence before anything is trained, from the classes and from the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semigan_pl.callbacks.checkpoint import PeriodicCheckpoint
from semigan_pl.callbacks.generator_ema import GeneratorEMA
from semigan_pl.callbacks.growth import Growth
from semigan_pl.callbacks.image_grid import ImageGrid
from semigan_pl.callbacks.progress import ProgressBar
from semigan_pl.callbacks.rehearsal import Rehearsal
from semigan_pl.callbacks.score_writer import ScoreWriter
from semigan_pl.callbacks.timing import TimeEstimate
from semigan_pl.checks import is_number, number, share, shown, whole, yes_or_no
from semigan_pl.data.cache import ImageCache
from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.digits import digits
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.latent_search import LatentSearch
from semigan_pl.latent_search.descent import GradientDescent
from semigan_pl.losses.adversarial import Hinge, check_gamma
from semigan_pl.methods.updates import Updates
from semigan_pl.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from tests.commands import SMALL, call
from tests.data.protocols import make_protocol
from tests.latent_search.linear import settings

NO_NUMBERS: list[Any] = ["abc", "1", None, True, math.nan, math.inf, -math.inf, [1], {}]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
def test_what_is_no_number_is_refused_by_every_check(value: Any) -> None:
    assert not is_number(value)
    for check in (number, share, lambda option, value: whole(option, value, least=0)):
        with pytest.raises(ValueError, match=r"^data\.x="):
            check("data.x", value)


def test_what_is_a_number_is_returned_as_it_is() -> None:
    assert whole("x", 3, least=3) == 3
    assert type(whole("x", np.int64(3), least=3)) is int
    assert whole("x", 10**400, least=0) == 10**400  # beyond every float
    assert (number("x", -0.5), number("x", 0, least=0), number("x", 1, most=1)) == (-0.5, 0, 1)
    assert (share("x", 0), share("x", 0.999)) == (0, 0.999)
    assert yes_or_no("x", False) is False


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: whole("x", "abc", least=0), "x=abc must be a whole number, 0 or more"),
        (lambda: whole("x", 0, least=1), "x=0 must be a whole number, 1 or more"),
        (lambda: whole("x", 1.5, least=1), "x=1.5 must be a whole number, 1 or more"),
        (lambda: whole("x", 1e5, least=1), "x=100000.0 must be a whole number, 1 or more: write 100000"),
        (lambda: number("x", None), "x=null must be a finite number"),
        (lambda: number("x", -1, least=0), "x=-1 must be a finite number, 0 or more"),
        (lambda: number("x", 0, above=0), "x=0 must be a finite number, above 0"),
        (lambda: number("x", 2, least=0, most=1), "x=2 must be a finite number, 0 or more, at most 1"),
        (lambda: share("x", 1), "x=1 must lie in [0, 1): it is a share"),
        (lambda: share("x", 0, above_zero=True), "x=0 must lie in (0, 1): it is a share"),
        (lambda: yes_or_no("x", 1), "x=1 must be true or false"),
        (lambda: yes_or_no("x", None), "x=null must be true or false"),
    ],
)
def test_the_sentences(check: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match="x=") as error:
        check()
    assert str(error.value) == said


def test_values_are_shown_as_one_types_them() -> None:
    assert [shown(value) for value in (None, True, False, 1, 0, "a", [8])] == [
        "null",
        "true",
        "false",
        "1",
        "0",
        "a",
        "[8]",
    ]


def search(**changed: Any) -> LatentSearch:
    return settings(**{"steps": 1} | changed)


def decision(**changed: Any) -> Decision:
    usual: dict[str, Any] = {"score": "critic", "search": None, "critic": None, "margin": -3, "quantile": 0.5}
    return Decision(**usual | changed)


def data_module(**changed: Any) -> AnomalyDataModule:
    parts = (digits(), make_protocol(normal_classes=[8]), ImageFormat(16, 1, "pad", None), ImageCache("unused", 100))
    usual: dict[str, Any] = {"batch_size": 8, "known_batch_size": None, "eval_batch_size": 8, "max_images": 0}
    return AnomalyDataModule(*parts, **usual | {"schedule": None, "known_list": None, "skip_broken": False} | changed)


UPDATES: dict[str, Any] = {"accumulate": 1, **dict.fromkeys(["clip_d", "clip_g", "clip_e", "clip_a", "weight_limit"])}
CASES: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("search.steps=-1 ", search, {"steps": -1}),
    ("search.steps=2.5 ", search, {"steps": 2.5}),
    ("search.starts=0 ", search, {"starts": 0}),
    ("search.seed=-1 ", search, {"seed": -1}),
    ("search.lambda_=1.5 ", search, {"lambda_": 1.5}),
    ("search.descent.learning_rates=0.1 ", GradientDescent, {"learning_rates": 0.1}),
    ("search.descent.learning_rates={0.5: 1} ", GradientDescent, {"learning_rates": {0.5: 1}}),
    ("search.descent.learning_rates.0.5=fast ", GradientDescent, {"learning_rates": {0: 0.1, 0.5: "fast"}}),
    ("search.descent.learning_rates.0=0 ", GradientDescent, {"learning_rates": {0: 0}}),
    ("search.descent.learning_rates: share of the steps=1 ", GradientDescent, {"learning_rates": {0: 0.1, 1: 0.1}}),
    (
        "search.descent.learning_rates: share of the steps=0.5 ",
        GradientDescent,
        {"learning_rates": {0: 0.1, "0.5": 0.1}},
    ),
    ("model.decision.margin=nan ", decision, {"margin": math.nan}),
    ("model.decision.quantile=1 ", decision, {"quantile": 1}),
    ("model.decision.quantile=0 ", decision, {"quantile": 0}),
    ("loss.gradient_penalty=-1 ", Hinge, {"gradient_penalty": -1, "penalty_every": 1, "drift": 0}),
    ("loss.drift=nan ", Hinge, {"gradient_penalty": 0, "penalty_every": 1, "drift": math.nan}),
    ("loss.penalty_every=0 ", Hinge, {"gradient_penalty": 0, "penalty_every": 0, "drift": 0}),
    ("model.updates.accumulate=0 ", Updates, UPDATES | {"accumulate": 0}),
    ("model.updates.clip_d=0 ", Updates, UPDATES | {"clip_d": 0}),
    ("model.updates.clip_g=nan ", Updates, UPDATES | {"clip_g": math.nan}),
    ("model.updates.weight_limit=0 ", Updates, UPDATES | {"weight_limit": 0}),
    ("callbacks.growth.reset_optimizers=1 ", Growth, {"schedule": None, "reset_optimizers": 1}),
    ("callbacks.rehearsal.steps=-1 ", Rehearsal, {"schedule": None, "steps": -1}),
    ("model.gamma=null ", check_gamma, {"gamma": None}),
    ("model.gamma=half ", check_gamma, {"gamma": "half"}),
    (
        "network_sizes.*.width=0 ",
        DCGANDiscriminator,
        {"image_size": 16, "channels": 1, "width": 0, "normalization": "spectral"},
    ),
    (
        "network_sizes.*.latent_dim=1.5 ",
        DCGANGenerator,
        {"image_size": 16, "channels": 1, "width": 4, "latent_dim": 1.5, "prior": "normal"},
    ),
    ("callbacks.generator_ema.half_life=0 ", GeneratorEMA, {"half_life": 0}),
    ("callbacks.image_grid.grids=-1 ", ImageGrid, {"grids": -1, "images": 1, "max_images": 0, "image_size": 16}),
    ("callbacks.image_grid.images=0 ", ImageGrid, {"grids": 0, "images": 0, "max_images": 0, "image_size": 16}),
    ("max_images=null ", ImageGrid, {"grids": 0, "images": 1, "max_images": None, "image_size": 16}),
    ("callbacks.checkpoint.seconds=0 ", PeriodicCheckpoint, {"seconds": 0, "images": None, "keep": False}),
    ("callbacks.checkpoint.images=0 ", PeriodicCheckpoint, {"seconds": 1, "images": 0, "keep": False}),
    ("callbacks.checkpoint.keep=0 ", PeriodicCheckpoint, {"seconds": 1, "images": None, "keep": 0}),
    (
        "callbacks.time_estimate.after_seconds=-1 ",
        TimeEstimate,
        {"after_seconds": -1, "max_images": 0, "schedule": None},
    ),
    ("max_images=-1 ", TimeEstimate, {"after_seconds": 0, "max_images": -1, "schedule": None}),
    ("callbacks.progress_bar.refresh_rate=0 ", ProgressBar, {"refresh_rate": 0}),
    ("callbacks.score_writer.examples=-1 ", ScoreWriter, {"examples": -1, "seconds": 0, "metrics": {}}),
    ("callbacks.score_writer.seconds=-1 ", ScoreWriter, {"examples": 1, "seconds": -1, "metrics": {}}),
    ("data.cache_memory_mb=-1 ", ImageCache, {"folder": "x", "memory_mb": -1}),
    ("data.cache_dir=null ", ImageCache, {"folder": None, "memory_mb": 0}),
    ("data.image_size=16.0 ", ImageFormat, {"image_size": 16.0, "channels": 1, "resize": "pad", "mean_grey": None}),
    ("data.channels=true ", ImageFormat, {"image_size": 16, "channels": True, "resize": "pad", "mean_grey": None}),
    ("data.mean_grey=dark ", ImageFormat, {"image_size": 16, "channels": 1, "resize": "pad", "mean_grey": "dark"}),
    ("data.batch_size=0 ", data_module, {"batch_size": 0}),
    ("data.known_batch_size=1.5 ", data_module, {"known_batch_size": 1.5}),
    ("block_size=null ", data_module, {"eval_batch_size": None}),
    ("max_images=-1 ", data_module, {"max_images": -1}),
    ("data.skip_broken=maybe ", data_module, {"skip_broken": "maybe"}),
    ("data.n_normal=1.0 ", make_protocol, {"n_normal": 1.0}),
    ("data.max_per_class=all ", make_protocol, {"max_per_class": "all"}),
    ("data.test_limit=nan ", make_protocol, {"test_limit": math.nan}),
    ("data.seed=null ", make_protocol, {"seed": None}),
    ("data.contamination=true ", make_protocol, {"contamination": True}),
    ("data.known_anomalies=nan ", make_protocol, {"known_anomalies": math.nan}),
    ("data.known_anomalies=true ", make_protocol, {"known_anomalies": True}),
    ("data.known_anomalies=many ", make_protocol, {"known_anomalies": "many"}),
]


@pytest.mark.parametrize(("said", "make", "arguments"), CASES, ids=[said.strip() for said, *_ in CASES])
def test_a_wrong_value_stops_the_construction(said: str, make: Callable[..., Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="=") as error:
        make(**arguments)
    assert str(error.value).startswith(said)


def test_the_extremes_that_make_sense_are_accepted() -> None:
    search(steps=0, lambda_=1)
    decision(margin=-1, quantile=0.001)
    ImageGrid(grids=0, images=1, max_images=0, image_size=16)
    TimeEstimate(after_seconds=0, max_images=0, schedule=None)
    ScoreWriter(examples=0, seconds=0, metrics={})
    data_module(batch_size=1, known_batch_size=1, eval_batch_size=1, max_images=0, skip_broken=True)
    make_protocol(known_anomalies=1.0, test_limit=2, normal_classes=(8,), known_classes=["a"])


@pytest.mark.parametrize("knob", ["normal_classes", "known_classes"])
@pytest.mark.parametrize("slip", [8, "cat", False])
def test_classes_are_a_list(knob: str, slip: object) -> None:
    with pytest.raises(ValueError, match=rf"data\.{knob}=") as error:
        make_protocol(**{knob: slip})
    assert str(error.value) == f"data.{knob}={shown(slip)} must be a list: write 'data.{knob}=[{shown(slip)}]'"


def test_something_has_to_decide() -> None:
    with pytest.raises(
        ValueError, match=r"model\.decision\.score=null is no term of this method: use one of \['critic'"
    ):
        decision(score=None).check(("critic",))


@pytest.mark.parametrize(
    "typed",
    [
        "search.steps=abc",
        "search.starts=0",
        "search.lambda_=nan",
        "block_size=0",
        "model.critic_steps=0",
        "model.decision.margin=nan",
        "model.decision.score=null",
        "data.normal_classes=8",
        "callbacks.generator_ema.half_life=0",
        "data.cache_memory_mb=abc",
        "trainer.log_every_n_steps=0",
        "seed=-1",
    ],
)
def test_a_wrong_value_that_is_typed_ends_in_a_sentence(typed: str, tmp_path: Path) -> None:
    result = call(tmp_path, *SMALL, "max_images=64", typed)
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert typed in result.stderr
    assert not list(tmp_path.rglob("metrics.json"))
    assert not list(tmp_path.rglob("last.ckpt"))
