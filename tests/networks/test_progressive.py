"""Progressive networks: shapes, gradients, latents, scores of one image, a short training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.growth import Stage
from semigan_pl.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from tests.conftest import build_model
from tests.methods.test_contract import IMAGES, train

SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def generator(image_size: int = 16, channels: int = 1, latent_dim: int = 6, prior: str = "normal") -> Any:
    torch.manual_seed(0)
    return ProgressiveGenerator(image_size, channels, latent_dim, fmap_base=64, fmap_max=16, prior=prior)


def discriminator(image_size: int = 16, channels: int = 1) -> Any:
    torch.manual_seed(0)
    return ProgressiveDiscriminator(image_size, channels, fmap_base=64, fmap_max=16, group_size=4)


def size(network: nn.Module, heads: str = "") -> int:
    """Parameters; `heads`: of the RGB heads only the last."""
    parameters = dict(network.named_parameters())
    last = f"{heads}.{len(getattr(network, heads)) - 1}." if heads else ""
    return sum(p.numel() for name, p in parameters.items() if not heads or heads not in name or name.startswith(last))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [((1, 64, 16), "latent_dim=1 "), ((6, 0, 16), "fmap_base=0 and"), ((6, 64, 0), "fmap_max=0 of")],
)
def test_an_impossible_width_is_refused(options: tuple[int, int, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ProgressiveGenerator(8, 1, *options, prior="normal")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [4, 8, 32, 64])
def test_shapes_and_gradients_at_full_size(image_size: int, channels: int) -> None:
    g, d = generator(image_size, channels), discriminator(image_size, channels)
    z = g.sample_latents(3, noise()).requires_grad_()
    images = g(z)
    assert images.shape == (3, channels, image_size, image_size)
    features = d.features(images)
    assert features.shape == (3, 16 * 4 * 4)
    logits = d.verdict(features)
    assert logits.shape == (3,)
    logits.sum().backward()
    lower = {f"{heads}.{n}." for heads in ("to_rgb", "from_rgb") for n in range(len(g.to_rgb) - 1)}
    for name, parameter in [*g.named_parameters(), *d.named_parameters()]:
        assert (parameter.grad is None) == any(name.startswith(head) for head in lower), name
        assert parameter.grad is None or parameter.grad.isfinite().all()
    assert z.grad is not None
    assert (z.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("image_size", SIZES)
def test_every_power_of_two_can_be_had(image_size: int) -> None:
    with torch.device("meta"):
        g = ProgressiveGenerator(image_size, 3, 64, 256, 32, "normal")
        d = ProgressiveDiscriminator(image_size, 3, 256, 32, 4)
        assert d(g(torch.empty(2, 64))).shape == (2,)
    assert len(g.to_rgb) == len(d.from_rgb) == int(math.log2(image_size)) - 1


@pytest.mark.parametrize("image_size", [2, 6, 28, 48, 100])
def test_an_unfit_size_is_refused(image_size: int) -> None:
    for build in (generator, discriminator):
        with pytest.raises(ValueError, match=rf"data\.image_size={image_size}:.*power of two"):
            build(image_size)


def test_first_activations_have_unit_variance() -> None:
    """Equalized gains hand variance on: neither player starts dead or exploded, at any depth."""
    g, d = generator(64, 3, latent_dim=64), discriminator(64, 3).eval()
    with torch.no_grad():
        images = g(g.sample_latents(64, noise()))
        assert 0.3 < images.std() < 3
        assert 0.1 < d.features(torch.randn(64, 3, 64, 64, generator=noise())).square().mean().sqrt() < 3


def test_latents_matter_by_their_direction_only() -> None:
    g, z = generator().eval(), torch.randn(4, 6, generator=noise())
    torch.testing.assert_close(g(z), g(10 * z))
    assert not torch.allclose(g(z), g(-z))


def test_filling_up_latents_adds_nothing() -> None:
    g = generator(latent_dim=6)
    z = torch.randn(3, 6, generator=noise())
    before = g(z)
    with torch.no_grad():
        g.project.weight[:, 6:] = 1e6
    assert g.project.in_features == 8
    assert g.project.scale == pytest.approx(math.sqrt(2) / 4 / math.sqrt(6))
    assert torch.equal(before, g(z))


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_latents_come_from_their_own_generator(prior: str) -> None:
    g = generator(prior=prior)
    before = torch.get_rng_state()
    first, again, other = (g.sample_latents(5, noise(seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (5, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert bool((first.abs() <= 1).all()) == (prior == "uniform")


def test_training_shows_the_discriminator_a_collapse_and_features_are_of_one_image() -> None:
    d = discriminator().train()
    x = IMAGES[:8]
    loud = torch.cat([x[:1], 50 * x[1:]])
    assert torch.equal(d.features(x)[0], d.features(loud)[0])
    features = d.features(x)
    assert not torch.equal(d.verdict(features)[0], d.verdict(torch.cat([features[:1], 50 * features[1:]]))[0])


@pytest.mark.parametrize("stage", [Stage(4), Stage(8, 0.4), Stage(16)], ids=str)
def test_an_image_is_judged_alone_at_evaluation(stage: Stage) -> None:
    d = discriminator()
    d.stage = stage
    x = torch.rand(6, 1, stage.resolution, stage.resolution, generator=noise())
    d(x)  # the statistic of training
    loud = torch.cat([x[:1], 1000 * x[1:]])
    d.eval()
    assert torch.equal(d(x)[0], d(loud)[0])
    assert torch.equal(d(x), d.verdict(d.features(x)))


@pytest.mark.parametrize("latent_dim", [5, 6, 16])
def test_gradients_do_not_depend_on_the_place_in_the_batch(latent_dim: int) -> None:
    g, d = generator(latent_dim=latent_dim).eval(), discriminator().eval()

    def pull(z: Tensor) -> Tensor:
        z = z.clone().requires_grad_()
        return torch.autograd.grad(d.features(g(z)).square().sum(), z)[0]

    z = torch.randn(16, latent_dim, generator=noise())
    for shift in (1, 3, 8, 13):
        assert torch.equal(pull(z.roll(shift, 0)), pull(z).roll(shift, 0))


PROGRESSIVE = ["network@model.generator=progressive_generator", "network@model.discriminator=progressive_discriminator"]


@pytest.mark.parametrize(
    ("name", "fmap_base", "fmap_max", "latent_dim"),
    [("small", 256, 32, 64), ("medium", 1024, 128, 128), ("paper", 8192, 512, 512)],
)
def test_one_word_scales_the_networks(name: str, fmap_base: int, fmap_max: int, latent_dim: int) -> None:
    with torch.device("meta"):
        model = build_model("semigan", *PROGRESSIVE, f"network.size={name}", "data.image_size=32", "data.channels=3")
        expected = ProgressiveGenerator(32, 3, latent_dim, fmap_base, fmap_max, "normal")
        judge = ProgressiveDiscriminator(32, 3, fmap_base, fmap_max, 4)
    assert size(model.generator) == size(expected)  # type: ignore[arg-type]
    assert size(model.discriminator) == size(judge)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained() -> Any:
    """A semigan with progressive networks after a few steps with the default loss of progressive training."""
    torch.set_num_threads(1)
    small = ["network_sizes.small.fmap_base=64", "network_sizes.small.fmap_max=16", "loss=wasserstein"]
    model = build_model("semigan", *PROGRESSIVE, *small, "network_sizes.small.sphere_latent_dim=6")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train(model, 4)
    return model, before


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_a_semigan_trains_with_them(trained: Any) -> None:
    model, before = trained
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        lower = any(f"{heads}.{n}." in name for heads in ("to_rgb", "from_rgb") for n in (0, 1))
        assert torch.equal(parameter, before[name]) == lower, name
    deviation = model.discriminator.stddev
    assert deviation.mean > 0
    assert deviation.batches == 4 * 5  # real, generated, known, penalty, and the generator's step


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize("n", [1, 3, 64])
def test_no_score_depends_on_its_batch(trained: Any, n: int) -> None:
    model, _ = trained
    whole, part = model.predict(IMAGES), model.predict(IMAGES[5 : 5 + n])
    assert part.reconstruction.shape == (n, 1, 16, 16)
    for name, values in part.terms.items():
        assert values.isfinite().all()
        assert torch.equal(values, whole.terms[name][5 : 5 + n]), name
