"""An autoencoder in which nothing can be constant but what the image makes so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.networks.hypersphere import HypersphereDecoder, HypersphereEncoder


def networks(
    image_size: int = 16, channels: int = 1, width: int = 8, dim: int = 32
) -> tuple[HypersphereEncoder, HypersphereDecoder]:
    torch.manual_seed(0)
    made = (image_size, channels, width, dim)
    return HypersphereEncoder(*made), HypersphereDecoder(*made)


def images(n: int, size: int = 16, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (28, 1), (32, 3), (64, 1), (96, 3), (128, 1)])
def test_shapes_and_range(image_size: int, channels: int) -> None:
    encoder, decoder = networks(image_size, channels, width=4)
    representations = encoder(images(3, image_size, channels))
    assert representations.shape == (3, 32)
    list(decoder.parameters())[-1].data *= 1e6
    drawn = decoder(representations).detach()
    assert drawn.shape == (3, channels, image_size, image_size)
    assert (float(drawn.min()), float(drawn.max())) == (-1, 1)


def test_there_is_nothing_but_weights() -> None:
    for network in networks(32, 3):
        assert all(name.endswith(".weight") and p.dim() > 1 for name, p in network.named_parameters())


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_black_is_nothing_and_nothing_is_mid_grey(mode: str) -> None:
    """Without bias terms 0 stays 0 all the way: fresh statistics have mean 0, and those of zeros too."""
    encoder, decoder = (getattr(network, mode)() for network in networks())
    assert torch.equal(encoder(-torch.ones(2, 1, 16, 16)), torch.zeros(2, 32))
    assert torch.equal(decoder(torch.zeros(2, 32)), torch.zeros(2, 1, 16, 16))


def test_weights_of_zero_reach_only_zero() -> None:
    """The collapse that bias terms would allow: a constant representation other than 0."""
    encoder, _ = networks()
    for parameter in encoder.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(encoder(images(4)), torch.zeros(4, 32))


def test_channels_double_from_half_the_width_and_stop_at_eight_times() -> None:
    encoder, decoder = networks(512, 3, 4, 8)
    down = [layer.out_channels for layer in encoder.shrink if isinstance(layer, nn.Conv2d)]
    up = [layer.in_channels for layer in decoder.grow if isinstance(layer, nn.ConvTranspose2d)]
    assert down == up[::-1] == [2, 4, 8, 16, 16, 16, 16]


def test_parameters_by_hand() -> None:
    encoder, decoder = networks(28, 1, 16, 32)
    expected = 16 * (1 * 8 + 8 * 16) + 16 * 7 * 7 * 32  # 28 -> 14 -> 7 px
    assert sum(p.numel() for p in encoder.parameters()) == expected
    assert sum(p.numel() for p in decoder.parameters()) == expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("image_size", "width"), [(16, 8), (28, 16), (32, 32)])
def test_a_row_does_not_depend_on_its_batch(image_size: int, width: int, threads: int) -> None:
    torch.set_num_threads(threads)
    encoder, decoder = networks(image_size, width=width)
    shown = images(72, image_size)
    decoder(encoder(shown))  # running statistics move
    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        whole = encoder(shown)
        drawn = decoder(whole)
        for n in (8, 16, 64):
            part = encoder(shown[8 : 8 + n])
            assert torch.equal(part, whole[8 : 8 + n]), n
            assert torch.equal(decoder(part), drawn[8 : 8 + n]), n


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 30}, r"data\.image_size=30"),
        ({"image_size": 8}, r"data\.image_size=8"),
        ({"width": 0}, r"network_sizes\.\*\.width=0 must be a whole number"),
        ({"dim": 0}, r"model\.encoder\.representation_dim=0 must be a whole number"),
    ],
)
def test_what_no_encoder_can_be(options: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        networks(**options)
