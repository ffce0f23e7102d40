"""Progressive networks against the reference: parameters, gains, and both functions written once more."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from semigan_pl.networks.layers import EqualizedConv2d
from semigan_pl.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator, feature_maps
from tests.networks.test_progressive import discriminator, generator, noise, size


def paper(image_size: int) -> tuple[nn.Module, nn.Module]:
    with torch.device("meta"):
        return (
            ProgressiveGenerator(image_size, 3, 512, 8192, 512, "normal"),
            ProgressiveDiscriminator(image_size, 3, 8192, 512, 4),
        )


@pytest.mark.parametrize(
    ("image_size", "expected_g", "expected_d"),
    [
        (4, 6_556_163, 6_561_793),
        (8, 11_275_779, 11_281_409),
        (16, 15_995_395, 16_001_025),
        (32, 20_715_011, 20_720_641),
        (64, 22_484_227, 22_489_857),
        (128, 22_926_467, 22_932_097),
        (256, 23_036_995, 23_042_625),
        (1024, 23_071_507, 23_077_137),
    ],
)
def test_parameters_of_the_reference_with_one_head(image_size: int, expected_g: int, expected_d: int) -> None:
    g, d = paper(image_size)
    assert (size(g, "to_rgb"), size(d, "from_rgb")) == (expected_g, expected_d)


def test_parameters_of_the_reference_with_all_heads() -> None:
    assert tuple(map(size, paper(1024))) == (23_079_115, 23_087_249)


def test_parameters_of_a_small_network() -> None:
    with torch.device("meta"):
        assert size(ProgressiveGenerator(32, 1, 128, 1024, 128, "normal")) == 1_111_364
        assert size(ProgressiveDiscriminator(32, 1, 1024, 128, 4)) == 1_113_153


def test_widths_of_the_reference_and_the_narrowest() -> None:
    assert feature_maps(1024, 8192, 512) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert feature_maps(256, 256, 32) == [32, 32, 32, 16, 8, 8, 8]
    assert feature_maps(8, 8192, 4) == [4, 4]


def test_every_layer_has_the_gain_of_the_reference() -> None:
    g, d = paper(1024)
    assert g.project.scale == pytest.approx(0.015625)  # type: ignore[union-attr]
    assert g.to_rgb[-1].scale == 0.25  # type: ignore[index, union-attr]
    assert d.judge[-1].scale == pytest.approx(512**-0.5)  # type: ignore[index, union-attr]
    assert d.judge[0].scale == pytest.approx(math.sqrt(2 / (513 * 9)))  # type: ignore[index, union-attr]
    gains = [
        m.scale * math.sqrt(m.in_channels * m.kernel_size[0] ** 2) for m in d.modules() if type(m) is EqualizedConv2d
    ]
    assert gains == pytest.approx([math.sqrt(2)] * len(gains))


def test_players_compute_what_the_reference_writes() -> None:
    """Both functions once more, line by line as methods.md has them, from the weights alone (8 px, biases not 0)."""
    g, d = generator(8, 3, latent_dim=16), discriminator(8, 3).train()
    with torch.no_grad():
        for name, parameter in [*g.named_parameters(), *d.named_parameters()]:
            if name.endswith("bias"):
                parameter.normal_()
    w, v, z = g.state_dict(), d.state_dict(), torch.randn(4, 16, generator=noise())

    def norm(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    def conv(x: Tensor, weights: dict[str, Tensor], name: str, gain: float = math.sqrt(2)) -> Tensor:
        weight = weights[f"{name}.weight"]
        c = gain / math.sqrt(weight[0].numel())
        return conv2d(x, weight * c, weights[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def lrelu(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    x = (norm(z) @ w["project.weight"].T * (math.sqrt(2) / 4 / math.sqrt(16))).view(4, 16, 4, 4)
    x = norm(lrelu(x + w["bias"].view(1, -1, 1, 1)))
    x = norm(lrelu(conv(x, w, "start.2")))
    x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = norm(lrelu(conv(norm(lrelu(conv(x, w, "grow.0.1"))), w, "grow.0.4")))
    images = conv(x, w, "to_rgb.1", gain=1)
    torch.testing.assert_close(g(z), images)

    x = lrelu(conv(images, v, "from_rgb.1.0"))
    x = lrelu(conv(lrelu(conv(x, v, "shrink.0.0")), v, "shrink.0.2"))
    x = x.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    torch.testing.assert_close(d.features(images), x.flatten(1))
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean().expand(4, 1, 4, 4)
    x = lrelu(conv(torch.cat([x, deviation], 1), v, "judge.0")).flatten(1)
    x = lrelu(x @ v["judge.3.weight"].T * math.sqrt(2 / 256) + v["judge.3.bias"])
    logits = (x @ v["judge.5.weight"].T / math.sqrt(16) + v["judge.5.bias"]).squeeze(1)
    torch.testing.assert_close(d(images), logits)
