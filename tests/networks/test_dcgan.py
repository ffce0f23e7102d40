"""DCGAN networks: shapes, sizes by hand, spectral norms, and gradients that do not depend on the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from semigan_pl.networks.prior import sample_prior
from semigan_pl.networks.scaling import halvings


def generator(image_size: int = 16, channels: int = 1, latent_dim: int = 6, prior: str = "normal") -> DCGANGenerator:
    torch.manual_seed(0)
    return DCGANGenerator(image_size, channels, latent_dim, width=4, prior=prior)


def discriminator(image_size: int = 16, channels: int = 1) -> DCGANDiscriminator:
    torch.manual_seed(0)
    return DCGANDiscriminator(image_size, channels, width=4, normalization="spectral")


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("image_size", [16, 28, 32, 48, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_gradients(image_size: int, channels: int) -> None:
    g, d = generator(image_size, channels), discriminator(image_size, channels)
    z = g.sample_latents(3, noise()).requires_grad_()
    images = g(z)
    assert images.shape == (3, channels, image_size, image_size)
    assert images.abs().max() <= 1
    features = d.features(images)
    start, n = halvings(image_size)
    assert features.shape == (3, start**2 * min(4 * 2 ** (n - 1), 32))  # width 4, doubled at most to 8 fold
    logits = d(images)
    assert logits.shape == (3,)
    logits.sum().backward()
    for parameter in (z, *g.parameters(), *d.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert z.grad is not None
    assert (z.grad.abs().sum(1) > 0).all()


def test_verdict_completes_the_features() -> None:
    d, images = discriminator().eval(), torch.rand(4, 1, 16, 16, generator=noise()) * 2 - 1
    assert torch.equal(d(images), d.verdict(d.features(images)))


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_counted_by_hand() -> None:
    """32 px colour, width 8: 32, 16 and 8 channels at 4, 8 and 16 px. Ten latents stand in sixteen places."""
    dense = 16 * (32 * 4 * 4)
    transposed = 32 * 16 * 16 + 16 * 8 * 16 + (8 * 3 * 16 + 3)
    norms = 2 * (32 + 16 + 8)
    assert size(DCGANGenerator(32, 3, 10, 8, "normal")) == dense + transposed + norms == 18_931
    convolutions = (3 * 8 * 16 + 8) + (8 * 16 * 16 + 16) + (16 * 32 * 16 + 32)
    assert size(DCGANDiscriminator(32, 3, 8, "spectral")) == convolutions + (32 * 4 * 4 + 1) == 11_193


def test_channels_grow_to_eight_widths_and_no_further() -> None:
    widest = [generator(image_size).project.out_features // 16 for image_size in (16, 32, 64, 128)]
    assert widest == [8, 16, 32, 32]


def test_first_weights_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    g = DCGANGenerator(32, 3, 100, 64, "normal")
    for module in g.modules():
        if isinstance(module, nn.ConvTranspose2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(module.weight.mean().item()) < 1e-3
    scales = torch.cat([module.weight for module in g.modules() if isinstance(module, nn.BatchNorm2d)])
    assert scales.mean().item() == pytest.approx(1.0, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.3)


def test_images_stay_in_range_and_reach_its_ends() -> None:
    images = generator()(100 * torch.randn(8, 6, generator=noise()))
    assert images.abs().max() <= 1
    louder = generator()
    with torch.no_grad():
        louder.grow[-2].weight.mul_(1e4)  # type: ignore[operator, union-attr]
    images = louder(torch.randn(8, 6, generator=noise()))
    assert images.max() == 1
    assert images.min() == -1


@pytest.mark.parametrize("image_size", [8, 30, 308, 2048])
def test_an_unfit_size_is_refused(image_size: int) -> None:
    for build in (generator, discriminator):
        with pytest.raises(ValueError, match=rf"data\.image_size={image_size}.*16, 28, 32, 64, 128"):
            build(image_size)


def test_without_normalization_the_weights_are_plain() -> None:
    d = DCGANDiscriminator(16, 1, 4, "none")
    assert not any(hasattr(module, "parametrizations") for module in d.modules())
    with pytest.raises(ValueError, match="normalization=batch is unknown: use spectral or none"):
        DCGANDiscriminator(16, 1, 4, "batch")


def largest_singular_values(d: DCGANDiscriminator) -> list[float]:
    weights = [m.weight.detach().flatten(1) for m in [*d.shrink, d.head] if isinstance(m, nn.Conv2d | nn.Linear)]
    return [float(torch.linalg.matrix_norm(weight, 2)) for weight in weights]


@pytest.mark.parametrize("image_size", [16, 64])
def test_every_weight_of_the_discriminator_has_spectral_norm_one(image_size: int) -> None:
    d = discriminator(image_size, 3).train()
    with torch.no_grad():
        for module in d.modules():
            if hasattr(module, "original"):
                module.original.mul_(50)  # type: ignore[operator]  # whatever training makes of them
        for _ in range(40):  # a forward pass is one step of the power iteration
            d(torch.rand(2, 3, image_size, image_size, generator=noise()))
    found = largest_singular_values(d.eval())
    assert len(found) == {16: 3, 64: 5}[image_size]
    assert found == pytest.approx([1.0] * len(found), abs=0.05)


def test_the_discriminator_is_lipschitz() -> None:
    """Each 4x4 convolution of stride 2 sees a pixel four times: factor 2 at most, and there are two; the rest is 1."""
    d, images = discriminator().eval(), torch.rand(20, 1, 16, 16, generator=noise())
    with torch.no_grad():
        slopes = (d(images) - d(-images)).abs() / (2 * images).flatten(1).norm(dim=1)
    assert slopes.max() <= 2 * 2 * 1.1


def test_the_discriminator_has_no_batch_norm_and_its_answers_no_neighbours() -> None:
    d = discriminator().eval()
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in d.modules())
    images = torch.rand(6, 1, 16, 16, generator=noise())
    loud = images.clone()
    loud[1:] *= 1000
    assert torch.equal(d(images)[0], d(loud)[0])


def pull(g: DCGANGenerator, z: Tensor) -> Tensor:
    """Gradient of each image's distance from black to its own latent, (N, latent_dim)."""
    z = z.clone().requires_grad_()
    return torch.autograd.grad((g(z) + 1).square().sum(), z)[0]


@pytest.mark.parametrize("latent_dim", [1, 5, 6, 7, 9, 10, 16])
def test_gradients_do_not_depend_on_the_place_in_the_batch(latent_dim: int) -> None:
    g = generator(latent_dim=latent_dim).eval()
    z = torch.randn(16, latent_dim, generator=noise())
    expected = pull(g, z)
    for shift in (1, 3, 8, 13):
        assert torch.equal(pull(g, z.roll(shift, 0)), expected.roll(shift, 0))


def test_filling_up_latents_adds_nothing() -> None:
    g = generator(latent_dim=6).eval()
    z = torch.randn(3, 6, generator=noise())
    before = g(z)
    with torch.no_grad():
        g.project.weight[:, 6:] = 1e6
    assert g.project.in_features == 8
    assert torch.equal(before, g(z))


def test_priors_have_their_moments_and_ranges() -> None:
    normal, uniform = (sample_prior(name, (20_000, 2), noise()) for name in ("normal", "uniform"))
    assert normal.mean().item() == pytest.approx(0, abs=0.02)
    assert normal.var().item() == pytest.approx(1, rel=0.03)
    assert normal.abs().max() > 3
    assert uniform.abs().max() <= 1
    assert uniform.min() < -0.99
    assert uniform.max() > 0.99
    assert uniform.mean().item() == pytest.approx(0, abs=0.02)
    assert uniform.var().item() == pytest.approx(1 / 3, rel=0.03)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_latents_come_from_their_own_generator(prior: str) -> None:
    g = generator(prior=prior)
    before = torch.get_rng_state()
    first, again, other = (g.sample_latents(5, noise(seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (5, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_unknown_prior_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'cauchy'.*normal or uniform"):
        generator(prior="cauchy").sample_latents(1, noise())
