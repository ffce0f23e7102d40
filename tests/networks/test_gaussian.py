"""The autoencoder of distributions and its dense networks: halves in their places, bounds, and every shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.networks.dense import DenseDecoder, DenseEncoder
from semigan_pl.networks.gaussian import GaussianAutoencoder
from tests.conftest import build_model


def images(n: int, image_size: int = 16, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, image_size, image_size, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Fixed(nn.Module):
    """Says the same whatever it is shown."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer.expand(len(x), *self.answer.shape[1:])


def test_halves_and_bounds_by_hand() -> None:
    pixels = torch.tensor([0.5, -2.0, 0.25, -7.0]).view(1, 4, 1, 1)  # two means, two deviations
    built: dict[str, Any] = {}

    def encoder(**options: int) -> nn.Module:
        built["encoder"] = options
        return Fixed(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))

    def decoder(**options: int) -> nn.Module:
        built["decoder"] = options
        return Fixed(pixels)

    network = GaussianAutoencoder(encoder, decoder, channels=2, latent_dim=2)
    assert built == {"encoder": {"latent_dim": 4}, "decoder": {"channels": 4, "latent_dim": 2}}
    mean, log_deviation = network.encode(torch.zeros(3, 2, 1, 1))
    assert mean.tolist() == [[1, 2]] * 3
    assert log_deviation.tolist() == [[3, 4]] * 3
    mean, log_deviation = network.decode(torch.zeros(3, 2))
    assert mean.flatten(1).tolist() == [[0.5, -2]] * 3
    assert log_deviation.flatten(1).tolist() == [[0.75, -3]] * 3
    assert torch.equal(network(torch.zeros(3, 2, 1, 1)), mean)


@pytest.mark.parametrize(
    "options",
    [[], ["network@model.autoencoder.decoder=progressive_generator", "network_sizes.small.fmap_max=8"]],
    ids=["conv", "progressive"],
)
@pytest.mark.parametrize(("image_size", "channels"), [(16, 1), (16, 3), (32, 1), (64, 3), (128, 1)])
def test_every_network_at_every_size(options: list[str], image_size: int, channels: int) -> None:
    shape = [f"data.image_size={image_size}", f"data.channels={channels}", "network_sizes.small.width=4"]
    network: Any = build_model("vae", *shape, *options).autoencoder
    shown = images(3, image_size, channels)
    z, log_deviation = network.encode(shown)
    assert z.shape == log_deviation.shape == (3, network.latent_dim)
    mean, log_deviation = network.decode(z)
    assert mean.shape == log_deviation.shape == shown.shape
    assert log_deviation.abs().max() <= 3
    (mean.sum() + log_deviation.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert all(p.grad is not None for p in network.encoder.parameters())


@pytest.mark.parametrize("options", [[], ["network@model.autoencoder=dense_autoencoder"]], ids=["conv", "dense"])
def test_at_the_size_of_mnist(options: list[str]) -> None:
    network: Any = build_model("vae", "data.image_size=28", "network_sizes.small.width=4", *options).autoencoder
    assert network(images(2, 28)).shape == (2, 1, 28, 28)


def test_the_papers_network_is_dense_with_400_and_200() -> None:
    network: Any = build_model("vae", "network@model.autoencoder=dense_autoencoder", "data.image_size=28").autoencoder
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.encoder, network.decoder)]
    assert counts == [(784 * 400 + 400) + (400 * 400 + 400), (200 * 400 + 400) + (400 * 1568 + 1568)]


def test_dense_layers_by_hand() -> None:
    torch.manual_seed(0)
    encoder: Any = DenseEncoder(4, 3, 5, 2)
    decoder: Any = DenseDecoder(4, 3, 5, 2)
    shown = images(6, 4, 3)
    first, _, last = encoder.layers
    torch.testing.assert_close(
        encoder(shown), (shown.flatten(1) @ first.weight.T + first.bias).relu() @ last.weight.T + last.bias
    )
    z = torch.randn(6, 2)
    first, _, last, _ = decoder.layers
    flat = ((z @ first.weight.T + first.bias).relu() @ last.weight.T + last.bias).tanh()
    torch.testing.assert_close(decoder(z), flat.view(6, 3, 4, 4))


@pytest.mark.parametrize(("part", "option"), [(DenseEncoder, "width"), (DenseDecoder, "latent_dim")])
def test_what_no_dense_network_can_be(part: Any, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}=0 must be a whole number"):
        part(**{"image_size": 16, "channels": 1, "width": 4, "latent_dim": 4, option: 0})
