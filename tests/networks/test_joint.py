"""The networks of a BiGAN: their parts by hand, with every trunk, and rows that do not depend on their batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from semigan_pl.networks.dcgan import DCGANDiscriminator
from semigan_pl.networks.encoder import ConvEncoder
from semigan_pl.networks.joint import JointDiscriminator, StandardizedEncoder
from semigan_pl.networks.progressive import ProgressiveDiscriminator
from tests.conftest import build_model

TRUNKS = ("dcgan", "progressive")


def joint(trunk: str = "dcgan", image_size: int = 16, channels: int = 1, latent_dim: int = 6) -> JointDiscriminator:
    torch.manual_seed(0)
    spectral = "network@model.discriminator.trunk=dcgan_discriminator"
    growing = "network@model.discriminator.trunk=progressive_discriminator"
    model = build_model(
        "egbad",
        spectral if trunk == "dcgan" else growing,
        f"data.image_size={image_size}",
        f"data.channels={channels}",
        f"network_sizes.small.latent_dim={latent_dim}",
        "network_sizes.small.width=4",
        "network_sizes.small.fmap_max=8",
    )
    assert isinstance(model.discriminator, JointDiscriminator)
    return model.discriminator


def pairs_of(d: JointDiscriminator, n: int) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(1)
    return torch.rand(n, *d.image_shape, generator=noise) * 2 - 1, torch.randn(n, d.latent_dim, generator=noise)


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (32, 3), (64, 1)])
def test_shapes_and_gradients(trunk: str, image_size: int, channels: int) -> None:
    d = joint(trunk, image_size, channels)
    images, z = pairs_of(d, 4)
    pairs = d.pair(images, z).requires_grad_()
    assert pairs.shape == (4, channels * image_size**2 + 6, 1, 1)
    assert d.features(pairs).shape == (4, 64)
    logits = d(pairs)
    assert logits.shape == (4,)
    logits.sum().backward()
    assert pairs.grad is not None
    in_images, in_latents = pairs.grad.flatten(1).split([channels * image_size**2, 6], 1)
    assert (in_images.abs().sum(1) > 0).all()
    assert (in_latents.abs().sum(1) > 0).all()
    used = [d.latent, d.joint, d.head]
    assert all(p.grad is not None and p.grad.isfinite().all() for layer in used for p in layer.parameters())


@pytest.mark.parametrize("trunk", TRUNKS)
def test_an_opinion_layer_by_layer(trunk: str) -> None:
    d = joint(trunk).eval()
    images, z = pairs_of(d, 5)
    seen: Tensor = d.trunk.features(images)  # type: ignore[operator]
    hidden = torch.cat([seen, leaky_relu(z @ d.latent.weight.T + d.latent.bias, 0.2)], 1)
    features = leaky_relu(hidden @ d.joint.weight.T + d.joint.bias, 0.2)
    pairs = d.pair(images, z)
    torch.testing.assert_close(d.features(pairs), features)
    torch.testing.assert_close(d(pairs), features @ d.head.weight[0] + d.head.bias)
    assert torch.equal(d(pairs), d.verdict(d.features(pairs)))


def test_widths_of_the_reference() -> None:
    torch.manual_seed(0)
    d = JointDiscriminator(DCGANDiscriminator(16, 1, 64, "spectral"), 16, 1, 200, 64)
    assert (d.latent.in_features, d.latent.out_features, d.joint.out_features) == (200, 512, 1024)
    assert d.joint.in_features == 128 * 16 + 512


def test_dense_layers_are_bounded_where_the_trunk_is() -> None:
    bounded, free = joint("dcgan"), joint("progressive")
    for d in (bounded, free):
        with torch.no_grad():
            for layer in (d.latent, d.joint, d.head):
                (layer.parametrizations.weight.original if d is bounded else layer.weight).mul_(50)  # type: ignore[operator,union-attr]
            for _ in range(40):  # a forward pass is one step of the power iteration
                d(d.pair(*pairs_of(d, 2)))
        d.eval()
    norms = [
        [torch.linalg.matrix_norm(layer.weight.detach(), 2).item() for layer in (d.latent, d.joint, d.head)]
        for d in (bounded, free)
    ]
    assert norms[0] == pytest.approx([1, 1, 1], abs=0.05)
    assert min(norms[1]) > 5


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("latent_dim", [2, 5, 6, 16])
def test_a_row_does_not_depend_on_its_batch(trunk: str, latent_dim: int) -> None:
    d = joint(trunk, latent_dim=latent_dim).eval()
    pairs = d.pair(*pairs_of(d, 64))
    with torch.no_grad():
        whole = d.features(pairs)
        for shift in (1, 3, 8, 13):
            assert torch.equal(d.features(pairs.roll(shift, 0)), whole.roll(shift, 0)), shift


def test_neighbours_do_not_leak_through_a_progressive_trunk_even_in_training() -> None:
    d = joint("progressive").train()
    images, z = pairs_of(d, 6)
    loud = images.clone()
    loud[1:] *= 1000
    assert torch.equal(d(d.pair(images, z))[0], d(d.pair(loud, z))[0])


def test_the_trunks_own_verdict_is_never_asked() -> None:
    trunk = ProgressiveDiscriminator(16, 1, 16, 8, 4)
    trunk.judge = nn.Identity()  # type: ignore[assignment]
    d = JointDiscriminator(trunk, 16, 1, 6, 4)
    assert d(d.pair(*pairs_of(d, 3))).isfinite().all()
    assert int(trunk.stddev.batches) == 0


@pytest.mark.parametrize(("option", "value"), [("latent_dim", 0), ("width", 0)])
def test_what_no_discriminator_can_be(option: str, value: int) -> None:
    sizes = {"latent_dim": 6, "width": 4, option: value}
    with pytest.raises(ValueError, match=rf"network_sizes\.\*\.{option}=0 must be a whole number"):
        JointDiscriminator(DCGANDiscriminator(16, 1, 4, "spectral"), 16, 1, **sizes)


def test_latents_have_the_priors_moments_and_at_evaluation_those_of_the_training() -> None:
    torch.manual_seed(0)
    inner = ConvEncoder(16, 1, 4, 6, "none")
    encoder = StandardizedEncoder(inner, 6)
    shown = torch.rand(32, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    z = encoder(shown)
    torch.testing.assert_close(z.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(6), atol=0.05, rtol=0)
    for _ in range(100):
        encoder(shown)
    raw = inner.eval()(shown)
    mean, variance = (encoder.standardize.get_buffer(name) for name in ("running_mean", "running_var"))
    torch.testing.assert_close(encoder.eval()(shown), (raw - mean) / (variance + 1e-5).sqrt())


def test_one_image_has_no_moments() -> None:
    encoder = StandardizedEncoder(ConvEncoder(16, 1, 4, 6, "none"), 6)
    with pytest.raises(ValueError, match=r"raise data\.batch_size, or take network@model\.encoder=conv_encoder"):
        encoder(torch.zeros(1, 1, 16, 16))
    assert encoder.eval()(torch.zeros(1, 1, 16, 16)).shape == (1, 6)
