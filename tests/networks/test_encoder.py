"""The encoder: shapes at every size, weights by hand, and rows that do not depend on their batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.networks.dcgan import DCGANDiscriminator
from semigan_pl.networks.encoder import ConvEncoder


def encoder(image_size: int = 16, channels: int = 1, latent_dim: int = 6, bound: str = "none") -> ConvEncoder:
    torch.manual_seed(0)
    return ConvEncoder(image_size, channels, 4, latent_dim, bound)


def images(n: int, image_size: int = 16, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, image_size, image_size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("image_size", [16, 28, 32, 48, 64, 128, 256, 512, 1024])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_gradients(image_size: int, channels: int) -> None:
    e = encoder(image_size, channels)
    z = e(images(2, image_size, channels))
    assert z.shape == (2, 6)
    z.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in e.parameters())


def test_parameters_counted_by_hand() -> None:
    """32 px colour, width 4: 4, 8 and 16 channels at 16, 8 and 4 px; no BatchNorm in the first layer."""
    convolutions = (3 * 4 * 16 + 4) + 4 * 8 * 16 + 8 * 16 * 16
    expected = convolutions + 2 * (8 + 16) + (16 * 16 * 6 + 6)
    assert sum(p.numel() for p in encoder(32, 3).parameters()) == expected == 4_346


@pytest.mark.parametrize("image_size", [16, 32, 64, 128])
def test_widths_are_those_of_the_discriminator(image_size: int) -> None:
    theirs = DCGANDiscriminator(image_size, 1, 4, "spectral")
    widths = [
        [layer.out_channels for layer in network.shrink if isinstance(layer, nn.Conv2d)]
        for network in (encoder(image_size), theirs)
    ]
    assert widths[0] == widths[1]


def test_bounded_latents_are_those_of_an_unbounded_encoder_in_tanh() -> None:
    shown = 1000 * images(4)
    free, bounded = encoder().eval()(shown), encoder(bound="tanh").eval()(shown)
    assert torch.equal(bounded, free.tanh())
    assert free.abs().max() > 1


@pytest.mark.parametrize("latent_dim", [1, 3, 6, 10, 16, 100])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_does_not_depend_on_its_batch(latent_dim: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    e = ConvEncoder(32, 1, 8, latent_dim, "none")
    shown = images(72, 32)
    e(shown)  # running statistics move
    with torch.no_grad():
        whole = e.eval()(shown)
        for n in (8, 16, 24, 64):
            assert torch.equal(e(shown[8 : 8 + n]), whole[8 : 8 + n]), n


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 8}, r"data\.image_size=8: "),
        ({"image_size": 2048}, r"data\.image_size=2048: "),
        ({"image_size": 30}, r"data\.image_size=30"),
        ({"bound": "relu"}, r"encoding\.encoder\.bound=relu is unknown: use none or tanh"),
        ({"latent_dim": 0}, r"latent_dim=0 must be a whole number"),
    ],
)
def test_what_no_encoder_can_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encoder(**options)  # type: ignore[arg-type]
