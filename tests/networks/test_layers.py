"""Layers of progressive GANs against the constants of the reference and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import conv2d, linear

from semigan_pl.networks.layers import (
    HE,
    EqualizedConv2d,
    EqualizedLinear,
    MinibatchStddev,
    PixelNorm,
    group_deviation,
    largest_divisor,
    pixel_norm,
)


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_constants_of_the_reference() -> None:
    with torch.device("meta"):
        assert EqualizedConv2d(512, 512, 3).scale == pytest.approx(0.0208333, rel=1e-5)
        assert EqualizedConv2d(16, 3, 1, gain=1.0).scale == 0.25  # toRGB
        assert EqualizedLinear(512, 8192, gain=HE / 4).scale == pytest.approx(0.015625, rel=1e-12)  # the first dense
        assert EqualizedConv2d(3, 512, 1).scale == pytest.approx(math.sqrt(2 / 3))  # fromRGB
        assert EqualizedLinear(512, 1, gain=1.0).scale == pytest.approx(512**-0.5)


def test_weights_are_standard_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    for layer in (EqualizedConv2d(64, 64, 3), EqualizedLinear(256, 256)):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.02)
        assert layer.bias is not None
        assert not layer.bias.any()
    assert EqualizedLinear(8, 8, bias=False).bias is None


def test_the_weight_is_scaled_and_the_bias_is_not() -> None:
    conv, dense = EqualizedConv2d(2, 3, 3, gain=1.0), EqualizedLinear(4, 5, gain=2.0)
    x, z = torch.randn(2, 2, 6, 6, generator=noise()), torch.randn(2, 4, generator=noise())
    with torch.no_grad():
        for layer in (conv, dense):
            assert layer.bias is not None
            layer.bias.copy_(torch.arange(len(layer.bias)))
        expected = conv2d(x, conv.weight / math.sqrt(18), conv.bias, padding=1)
        torch.testing.assert_close(conv(x), expected)
        torch.testing.assert_close(dense(z), linear(z, dense.weight * 2 / math.sqrt(4), dense.bias))
    assert conv(x).shape == (2, 3, 6, 6)


@pytest.mark.parametrize("gain", [1.0, HE])
def test_variance_goes_through_by_the_gain(gain: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(512, 256, generator=torch.Generator().manual_seed(1))  # not the draws of the weights
    assert EqualizedLinear(256, 256, gain)(x).var().item() == pytest.approx(gain**2, rel=0.05)


def test_learning_is_equal_in_layers_of_every_width() -> None:
    """One step of Adam moves each weight by the learning rate: a share of its range that knows no width."""
    for width in (8, 512):
        layer = EqualizedLinear(width, 1)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.ones(1, width)).sum().backward()
        optimizer.step()
        assert (layer.weight - before).abs().mean().item() == pytest.approx(0.01, rel=1e-3)


def test_pixel_norm_by_hand() -> None:
    found = pixel_norm(torch.tensor([[3.0, 4.0]]))
    assert found[0].tolist() == pytest.approx([0.848528, 1.131371], abs=1e-6)
    images = torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), 4.0)])[None]
    torch.testing.assert_close(PixelNorm()(images), found.view(1, 2, 1, 1).expand(1, 2, 2, 2))


def test_pixel_norm_puts_latents_on_the_sphere() -> None:
    z = pixel_norm(torch.randn(10, 512, generator=noise()) * 7)
    assert z.norm(dim=1).tolist() == pytest.approx([math.sqrt(512)] * 10, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_neither_overflows_nor_divides_by_zero(dtype: torch.dtype) -> None:
    large = torch.full((1, 4, 1, 1), 1000.0, dtype=dtype)  # its square is beyond float16
    assert torch.equal(pixel_norm(large), torch.ones_like(large))
    zeros = torch.zeros(4, 4, 1, 1, dtype=dtype)
    assert torch.equal(pixel_norm(zeros), zeros)
    assert group_deviation(zeros, 4).item() == pytest.approx(1e-4)
    assert MinibatchStddev(4)(zeros).dtype == dtype


def constant(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_deviation_by_hand() -> None:
    assert group_deviation(constant(1, 2, 3, 4), 4).item() == pytest.approx(1.118034, abs=1e-6)


def test_groups_are_strided_as_in_the_reference() -> None:
    found = group_deviation(constant(1, 10, 2, 20, 3, 30, 4, 40), 4)
    assert found.tolist() == pytest.approx([1.118034, 11.18034], rel=1e-6)
    channel = MinibatchStddev(4)(constant(1, 10, 2, 20, 3, 30, 4, 40))[:, -1, 0, 0]
    assert channel.tolist() == pytest.approx([1.118034, 11.18034] * 4, rel=1e-6)


def test_the_deviation_is_averaged_over_places_and_not_their_variance() -> None:
    x = torch.zeros(2, 2, 1, 2)
    x[1, 0, 0] = torch.tensor([2.0, 6.0])  # deviations 1 and 3, and two of 0
    assert group_deviation(x, 4).item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("n", "limit", "expected"), [(16, 4, 4), (14, 4, 2), (14, 16, 14), (6, 4, 3), (3, 4, 3), (7, 4, 1), (1, 4, 1)]
)
def test_any_batch_has_a_group_size(n: int, limit: int, expected: int) -> None:
    assert largest_divisor(n, limit) == expected
    x = torch.randn(n, 3, 4, 4, generator=noise())
    assert len(group_deviation(x, limit)) == n // expected
    assert MinibatchStddev(limit)(x).shape == (n, 4, 4, 4)


def test_one_channel_is_appended_and_the_rest_untouched() -> None:
    x = torch.randn(8, 5, 4, 4, generator=noise())
    for layer in (MinibatchStddev(4).train(), MinibatchStddev(4).eval()):
        assert torch.equal(layer(x)[:, :5], x)
        assert (layer(x)[:, 5].flatten(1).std(1) == 0).all()


def test_evaluation_uses_the_mean_of_training_and_leaves_it() -> None:
    layer = MinibatchStddev(4)
    for factor in (1, 3):
        layer(factor * constant(1, 2, 3, 4))
    assert layer.mean.item() == pytest.approx(2 * 1.118034, rel=1e-6)
    layer.eval()
    for n in (1, 3, 8):
        x = 100 * torch.randn(n, 3, 2, 2, generator=noise())
        assert (layer(x)[:, 3] == layer.mean).all()
    assert layer.batches == 2


def test_the_mean_forgets_in_the_long_run() -> None:
    layer = MinibatchStddev(4)
    layer(1000 * constant(1, 2, 3, 4))
    for _ in range(1500):
        layer(constant(1, 2, 3, 4))
    assert layer.mean.item() == pytest.approx(1.118034, rel=1e-3)


def test_the_mean_travels_in_the_state() -> None:
    layer, restored = MinibatchStddev(4), MinibatchStddev(4)
    layer(constant(1, 2, 3, 4))
    restored.load_state_dict(layer.state_dict())
    for copy in (layer, restored):
        copy(constant(1, 1, 3, 3))
    assert torch.equal(layer.mean, restored.mean)


def test_remembering_stands_apart_from_gradients() -> None:
    """Second derivatives, as a gradient penalty needs them; and equal images have a finite gradient."""
    layer, x = MinibatchStddev(4), torch.ones(4, 2, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert not layer.mean.requires_grad


def test_no_group_is_refused() -> None:
    with pytest.raises(ValueError, match="group_size=0"):
        MinibatchStddev(0)
