"""The search against a generator whose best reconstruction is known in closed form, and against a plain loop."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.latent_search import LatentSearch, PreparedSearch, SearchResult, frozen
from semigan_pl.latent_search.descent import LBFGS, Adam
from semigan_pl.losses.distances import residual
from tests.conftest import build_model
from tests.latent_search.linear import LinearGenerator, Pixels, search, settings

PAPER = {0: 0.01, 0.4: 0.001, 0.6: 0.0005}
LINE_SEARCH = LBFGS(8, 1e-4, {0: 1.0})


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_image_in_the_range_is_found_exactly() -> None:
    generator = LinearGenerator(12, 3)
    z = noise(4, 3, seed=1)
    found = search(generator, generator(z).detach())
    torch.testing.assert_close(found.z, z, atol=5e-3, rtol=0)
    assert found.residual.max() < 0.02


@pytest.mark.parametrize(
    ("steps", "descent"), [(2000, Adam([0.9, 0.999], 1e-8, {0: 0.05, 0.5: 0.005, 0.75: 5e-4})), (400, LINE_SEARCH)]
)
def test_residual_is_the_l1_distance_from_the_range(steps: int, descent: Any) -> None:
    """Against a linear program's answer: the best L1 fit, found by many IRLS steps in float64."""
    generator = LinearGenerator(12, 3)
    images = noise(4, 1, 1, 12)
    basis = generator.basis.detach().double()
    found = search(generator, images, steps, descent=descent, keep_best=True)
    for image, distance in zip(images, found.residual, strict=True):
        x, weights = image.flatten().double(), torch.ones(12, dtype=torch.float64)
        for _ in range(500):
            z = torch.linalg.lstsq(basis * weights[:, None].sqrt(), x * weights.sqrt()).solution
            weights = 1 / (x - basis @ z).abs().clamp(min=1e-9)
        # a line search may rest on an edge of the L1 norm, a little above its bottom
        bound = 2e-3 if isinstance(descent, Adam) else 0.05
        assert float(distance) == pytest.approx(float((x - basis @ z).abs().sum()), rel=bound)


def plainly(generator: nn.Module, discriminator: Any, images: Tensor, z: Tensor, steps: int) -> Tensor:
    """AnoGAN's search as published, with torch's own Adam; returns the last z."""
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 if step < 0.4 * steps else 0.001 if step < 0.6 * steps else 0.0005
        made = generator(z)
        features = residual(discriminator.features(images), discriminator.features(made))
        loss = 0.9 * residual(images, made) + 0.1 * features
        (z.grad,) = torch.autograd.grad(loss.sum(), z)
        optimizer.step()
    return z.detach()


def test_the_papers_search_is_the_plain_loop() -> None:
    generator = LinearGenerator(12, 3)
    images = noise(5, 1, 1, 12)
    start = settings(0).prepare(generator, Pixels(), (1, 1, 12)).starts.z
    found = search(generator, images, 50, descent=Adam([0.9, 0.999], 1e-8, PAPER), lambda_=0.1)
    with frozen(generator):
        expected = plainly(generator, Pixels(), images, start.expand(5, -1), 50)
    torch.testing.assert_close(found.z, expected, atol=1e-5, rtol=1e-5)


MODELS = {
    "dcgan": (),
    "progressive": (
        "network@model.generator=progressive_generator",
        "network@model.discriminator=progressive_discriminator",
    ),
}
IMAGES = torch.rand(37, 1, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1


def networks(kind: str) -> tuple[nn.Module, nn.Module]:
    model: Any = build_model("anogan", *MODELS[kind])
    with torch.no_grad():
        for _ in range(3):
            model.discriminator(model.generator(model.generator.sample_latents(32, torch.Generator().manual_seed(0))))
    return model.generator.eval(), model.discriminator.eval()


def inverted(kind: str, images: Tensor, **options: Any) -> SearchResult:
    generator, discriminator = networks(kind)
    usual = {"descent": LINE_SEARCH, "keep_best": True, "starts": 8, "patience": 3, "tolerance": 1e-2, "lambda_": 0.1}
    steps = options.pop("steps", 12)
    with frozen(generator, discriminator):
        prepared = settings(steps, **(usual | options)).prepare(generator, discriminator, tuple(images.shape[1:]))
        return prepared(images)


def assert_equal(a: SearchResult, b: SearchResult) -> None:
    for name, ours, theirs in zip(a._fields, a, b, strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("options", [{}, {"restarts": 3}, {"descent": Adam([0.9, 0.999], 1e-8, {0: 0.1})}])
def test_a_score_does_not_depend_on_the_working_set_the_order_or_the_neighbours(
    kind: str, options: dict[str, Any]
) -> None:
    """To the bit, although images leave at different times and others take their places."""
    whole = inverted(kind, IMAGES, **options)
    for size in (1, 5, 16, 32, 1024):
        assert_equal(inverted(kind, IMAGES, working_set=size, **options), whole)
    order = torch.randperm(len(IMAGES), generator=torch.Generator().manual_seed(1))
    assert_equal(SearchResult(*(v[order] for v in whole)), inverted(kind, IMAGES[order], **options))
    assert_equal(SearchResult(*(v[7:9] for v in whole)), inverted(kind, IMAGES[7:9], **options))


def test_two_runs_are_equal() -> None:
    assert_equal(inverted("dcgan", IMAGES), inverted("dcgan", IMAGES))


class Counting(nn.Module):
    """A generator that notes how many rows it was shown while gradients were asked for."""

    def __init__(self, generator: nn.Module, seen: list[int]) -> None:
        super().__init__()
        self.generator, self.seen = generator, seen

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        return self.generator.sample_latents(n, noise)  # type: ignore[operator,no-any-return]

    def forward(self, z: Tensor) -> Tensor:
        if z.requires_grad:
            self.seen.append(len(z))
        made: Tensor = self.generator(z)
        return made

    def __deepcopy__(self, memo: Any) -> Counting:
        return self


def counted(images: Tensor, steps: int, **options: Any) -> list[int]:
    """Rows of the batches that were computed for the descent."""
    generator, seen = LinearGenerator(12, 3), list[int]()
    search(Counting(generator, seen), images, steps, **options)
    return seen[1:]  # the first one measured the memory


def test_an_image_whose_loss_no_longer_falls_leaves() -> None:
    images = noise(64, 1, 1, 12)
    options: dict[str, Any] = {"descent": LINE_SEARCH, "keep_best": True, "tolerance": 1e-3}
    assert counted(images, 100, **options) == [64] * 100
    early = counted(images, 100, patience=3, **options)
    assert sum(early) < 64 * 60
    assert early == sorted(early, reverse=True)
    assert sum(counted(images, 100, patience=3, least_steps=100, **options)) == 6400


def test_the_place_of_who_leaves_is_taken_at_once() -> None:
    rows = counted(noise(96, 1, 1, 12), 40, descent=LINE_SEARCH, patience=3, tolerance=1e-3, working_set=32)
    assert rows[: len(rows) // 2] == [32] * (len(rows) // 2)


def test_the_best_point_is_never_worse_than_the_start_nor_the_end() -> None:
    generator, images = LinearGenerator(12, 3), noise(9, 1, 1, 12)
    wild = Adam([0.9, 0.999], 1e-8, {0: 3.0})
    start = search(generator, images, 0, starts=64)
    last, best = (search(generator, images, 10, starts=64, descent=wild, keep_best=keep) for keep in (False, True))
    assert (last.residual > start.residual).any()
    assert (best.residual <= torch.minimum(start.residual, last.residual)).all()


def test_of_several_restarts_the_best_counts() -> None:
    """A search from the best start may end in a worse place than one from the second best."""
    losses = {}
    for restarts in (1, 2, 8):
        found = inverted("dcgan", IMAGES, restarts=restarts, patience=None)
        losses[restarts] = 0.9 * found.residual + 0.1 * found.discrimination
    assert (losses[8] <= losses[2]).all()
    assert (losses[2] <= losses[1]).all()
    assert losses[8].sum() < losses[1].sum()


def test_no_steps_return_the_start() -> None:
    generator, images = LinearGenerator(12, 3), noise(3, 1, 1, 12)
    prepared = settings(0).prepare(generator, Pixels(), (1, 1, 12))
    with frozen(generator):
        found = prepared(images)
    torch.testing.assert_close(found.z, prepared.starts.z.expand(3, -1))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_are_float32_and_those_of_the_z_that_was_found(precision: str) -> None:
    generator, images = LinearGenerator(12, 3), noise(5, 1, 1, 12)
    found = search(generator, images, 20, precision=precision)
    assert {value.dtype for value in found} == {torch.float32}
    with torch.no_grad():
        torch.testing.assert_close(found.residual, residual(images, generator(found.z)))


def test_reduced_precision_reaches_the_same_loss() -> None:
    exact, reduced = (inverted("dcgan", IMAGES, precision=p, patience=None) for p in ("float32", "bfloat16"))
    assert not torch.equal(exact.z, reduced.z)
    torch.testing.assert_close(exact.residual, reduced.residual, rtol=0.05, atol=0)


def test_a_search_works_in_inference_mode_and_leaves_no_gradients() -> None:
    generator = LinearGenerator(12, 3)
    with torch.inference_mode():
        inputs = torch.randn(2, 1, 1, 12)
        found = search(generator, inputs, 5)
    assert generator.basis.grad is None
    assert not found.z.requires_grad


def test_out_of_memory_it_goes_on_with_half_the_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, images = LinearGenerator(12, 3), noise(70, 1, 1, 12)
    expected = search(generator, images, 5)
    prepared = settings(5).prepare(generator, Pixels(), (1, 1, 12))
    tight(monkeypatch, prepared, 32)
    with frozen(generator):
        assert_equal(prepared(images), expected)
    assert prepared.objective.working_set.rows == 32
    tight(monkeypatch, prepared, 0)
    with frozen(generator), pytest.raises(torch.OutOfMemoryError):
        prepared(images)


def tight(monkeypatch: pytest.MonkeyPatch, prepared: PreparedSearch, rows: int) -> None:
    """No more rows than that fit into memory."""
    descend = type(prepared.objective).descend

    def checked(z: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        if len(z) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return descend(prepared.objective, z, *others)

    monkeypatch.setattr(prepared.objective, "descend", checked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "cubic"}, "search.distance=cubic is unknown: use one of absolute, squared"),
        ({"prior": -1}, "search.prior=-1 must"),
        ({"start": "worst"}, "search.start=worst is unknown: use one of best, nearest, encoder"),
        ({"precision": "float16"}, "search.precision=float16 is unknown"),
        ({"compile": "yes"}, "search.compile=yes is unknown: use one of null, default"),
        ({"restarts": 3}, "search.restarts=3 need 3 prior samples: set search.starts=3"),
        ({"working_set": 0}, "search.working_set=0 must be a whole number, 1 or more"),
        ({"patience": 0}, "search.patience=0 must"),
        ({"tolerance": -1}, "search.tolerance=-1 must"),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        settings(3, **options)


def test_settings_are_a_value() -> None:
    assert isinstance(settings(3), LatentSearch)
    assert settings(3, descent=LINE_SEARCH) == settings(3, descent=LINE_SEARCH)


def test_a_compiled_search_finds_the_same_and_sees_batches_of_one_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    translated, compile = list[Any](), torch.compile

    def translate(function: Any, mode: str, dynamic: bool) -> Any:
        translated.append((mode, dynamic))
        return compile(function, backend="aot_eager", dynamic=dynamic)  # the real one needs a C++ compiler and minutes

    monkeypatch.setattr(torch, "compile", translate)
    eager = inverted("dcgan", IMAGES[:20], working_set=32)
    compiled = inverted("dcgan", IMAGES[:20], working_set=32, compile="default")
    assert translated == [("default", False)]
    torch.testing.assert_close(eager.residual, compiled.residual, rtol=1e-3, atol=0)
    shapes = counted(noise(40, 1, 1, 12), 3, working_set=32, compile="default")
    assert set(shapes) == {32}
