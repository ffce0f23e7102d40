"""Networks that redraw images: shapes, the papers' layers one by one, and rows that do not depend on their batch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from semigan_pl.networks.bowtie import BowTie, BowTieDiscriminator, Reconstructor, _ToImages

SIZES = [16, 28, 32, 64, 128]


def bowtie(image_size: int = 16, channels: int = 1, width: int = 4, latent_dim: int = 6) -> BowTie:
    torch.manual_seed(0)
    return BowTie(image_size, channels, width, latent_dim)


def reconstructor(image_size: int = 16, channels: int = 1, width: int = 4, kernel: int = 5) -> Reconstructor:
    torch.manual_seed(0)
    return Reconstructor(image_size, channels, width, kernel)


def discriminator(
    image_size: int = 16, channels: int = 1, width: int = 4, kernel: int = 4, norm_first: bool = False
) -> BowTieDiscriminator:
    torch.manual_seed(0)
    return BowTieDiscriminator(image_size, channels, width, kernel, norm_first)


def images(n: int, image_size: int = 16, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, image_size, image_size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_gradients(image_size: int, channels: int) -> None:
    shown = images(2, image_size, channels)
    g, r, d = bowtie(image_size, channels), reconstructor(image_size, channels), discriminator(image_size, channels)
    redrawn, z, again = g.codes(shown)
    assert redrawn.shape == r(shown).shape == shown.shape
    assert z.shape == again.shape == (2, 6)
    assert max(redrawn.abs().max(), r(shown).abs().max()) <= 1
    halvings = {16: 2, 28: 2, 32: 3, 64: 4, 128: 5}[image_size]
    assert d.features(shown).shape == (2, 4 * 2 ** min(halvings - 1, 3) * (image_size >> halvings) ** 2)
    assert d(shown).shape == (2,)
    (again.square().sum() + r(shown).square().sum() + d(shown).square().sum()).backward()
    for network in (g, r, d):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_parameters_of_ganomaly_counted_by_hand() -> None:
    """The layers of the paper's code at 32 px: 64, 128 and 256 channels, codes of 100, no biases."""
    up_to_256 = 1 * 64 * 16 + (64 * 128 * 16 + 2 * 128) + (128 * 256 * 16 + 2 * 256)
    encoder = up_to_256 + 256 * 100 * 16
    decoder = (100 * 256 * 16 + 2 * 256) + (256 * 128 * 16 + 2 * 128) + (128 * 64 * 16 + 2 * 64) + 64 * 1 * 16
    assert size(bowtie(32, 1, 64, 100)) == 2 * encoder + decoder == 3_200_384
    assert size(discriminator(32, 1, 64)) == up_to_256 + 256 * 1 * 16 == 661_248


def test_parameters_of_alocc_counted_by_hand() -> None:
    """64 px colour: 64, 128, 256 and 512 channels, 5x5, BatchNorm after each convolution but the one that draws."""
    sides = (3 * 64, 64 * 128, 128 * 256, 256 * 512)
    down = sum(25 * side for side in sides) + 2 * (64 + 128 + 256 + 512)
    up = sum(25 * side for side in sides) + 2 * (256 + 128 + 64)
    assert size(reconstructor(64, 3, 64)) == down + up
    assert size(discriminator(64, 3, 64, 5, True)) == down + 512 * 16


def test_large_images_do_not_take_ever_wider_layers() -> None:
    """256 px: doubled without an end as in the paper's code, generator and discriminator take 189 million weights."""
    widths = [64, 128, 256, 512, 512, 512]
    sides = [3 * 64, *(n_in * n_out for n_in, n_out in pairwise(widths))]
    encoder = 16 * sum(sides) + 2 * sum(widths[1:]) + 512 * 16 * 100
    decoder = 16 * sum(sides) + 2 * sum(widths) + 512 * 16 * 100
    assert size(bowtie(256, 3, 64, 100)) == 2 * encoder + decoder == 35_901_824
    assert size(discriminator(256, 3, 64)) == encoder - 99 * 512 * 16 == 11_156_224


def test_dense_layers_are_the_convolutions_of_the_paper() -> None:
    g = bowtie(32, 1, 8, 10).eval()
    shown = images(3, 32)
    seen = g.encoder[0](shown)  # (3, 32, 4, 4)
    z = conv2d(seen, g.encoder[2].weight.view(10, 32, 4, 4))  # type: ignore[operator]
    torch.testing.assert_close(g.codes(shown)[1], z.flatten(1))
    spread = conv_transpose2d(z, g.decoder[0].weight.view(32, 4, 4, 10).permute(3, 0, 1, 2))  # type: ignore[operator]
    rest = nn.Sequential(*list(g.decoder)[2:])
    torch.testing.assert_close(g(shown), rest(spread))


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_are_drawn_as_by_the_library(kernel: int, channels: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    draw = _ToImages(6, channels, kernel, 2, (kernel - 1) // 2, kernel % 2, bias=False).double()
    values = torch.randn(2, 6, 7, 7, dtype=torch.float64).to(memory_format=layout)
    weights = torch.randn(2, channels, 14, 14, dtype=torch.float64)
    results = []
    for function in (draw.forward, super(_ToImages, draw).forward):
        leaf = values.clone().requires_grad_()
        drawn = function(leaf)
        results.append((drawn, *torch.autograd.grad((drawn * weights).sum(), [leaf, draw.weight])))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_first_weights_are_those_of_the_paper() -> None:
    for module in bowtie(32, 1, 64, 100).modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert module.bias is None
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_batch_norm_follows_all_but_the_first_convolution_of_ganomaly_and_the_last_of_all() -> None:
    def kinds(network: nn.Module) -> list[str]:
        return [type(m).__name__ for m in network.modules() if not isinstance(m, nn.Sequential)]

    assert kinds(discriminator().shrink) == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(discriminator(norm_first=True).shrink)[:2] == ["Conv2d", "BatchNorm2d"]
    assert kinds(reconstructor().decoder) == ["ConvTranspose2d", "BatchNorm2d", "ReLU", "_ToImages", "Tanh"]


def test_verdict_completes_the_features() -> None:
    d, shown = discriminator().eval(), images(4)
    assert torch.equal(d(shown), d.verdict(d.features(shown)))


@pytest.mark.parametrize(
    ("threads", "latent_dim", "layout"),
    [(1, 6, torch.channels_last), (1, 100, torch.contiguous_format), (2, 16, torch.channels_last)],
)
def test_a_row_does_not_depend_on_its_place_and_neighbours(
    threads: int, latent_dim: int, layout: torch.memory_format
) -> None:
    torch.set_num_threads(threads)
    shown = images(32, 16, 3)
    networks = (bowtie(16, 3, 8, latent_dim), reconstructor(16, 3, 8), discriminator(16, 3, 8, 5, True))
    answers: list[Callable[[Tensor], tuple[Tensor, ...]]] = []
    for network in networks:
        network.to(memory_format=layout)
        network(shown)  # running statistics move
        network.eval()
        answers.append(network.codes if isinstance(network, BowTie) else lambda x, network=network: (network(x),))  # type: ignore[misc]
    with torch.no_grad():
        for answer in answers:
            for whole, moved in zip(answer(shown), answer(shown.roll(5, 0)), strict=True):
                assert torch.equal(moved, whole.roll(5, 0))


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (bowtie, {"image_size": 30}, r"data\.image_size=30"),
        (bowtie, {"image_size": 8}, r"data\.image_size=8"),
        (bowtie, {"latent_dim": 0}, r"network_sizes\.\*\.latent_dim=0 must be"),
        (bowtie, {"width": 0.5}, r"network_sizes\.\*\.width=0.5 must be"),
        (reconstructor, {"kernel": 3}, r"kernel=3 must be 4 or 5"),
        (discriminator, {"kernel": None}, r"kernel=null must be 4 or 5"),
        (discriminator, {"norm_first": "yes"}, r"model\.discriminator\.norm_first=yes must be true or false"),
    ],
)
def test_what_is_refused(build: Callable[..., nn.Module], options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(**options)
