"""The search against a generator whose best reconstruction is known in closed form."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.latent_search import LatentSearch, SearchResult, frozen


class LinearGenerator(nn.Module):
    """G(z) = W z with orthonormal columns, images 1 x 1 x D."""

    def __init__(self, dimension: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        basis, _ = torch.linalg.qr(torch.randn(dimension, latent_dim, generator=torch.Generator().manual_seed(0)))
        self.basis = nn.Parameter(basis)

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=noise)

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.basis.T)[:, None, None]


def flat(images: Tensor) -> Tensor:
    return images.flatten(1)


def settings(steps: int, **options: Any) -> LatentSearch:
    usual: dict = {"learning_rates": {0: 0.05, 0.6: 0.005, 0.85: 0.0005}, "lambda_": 0.0, "starts": 1, "seed": 0}
    return LatentSearch(steps=steps, **{**usual, **options})


def search(generator: LinearGenerator, images: Tensor, steps: int = 400, **options: Any) -> SearchResult:
    """Searches with the pixels themselves as features."""
    engine = settings(steps, **options)
    with frozen(generator):
        return engine(generator, flat, images, engine.bank(generator, flat))


def test_an_image_in_the_range_is_found_exactly() -> None:
    generator = LinearGenerator(12, 3)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    found = search(generator, generator(z).detach())
    torch.testing.assert_close(found.z, z, atol=5e-3, rtol=0)
    assert found.residual.max() < 0.02


def test_residual_is_the_l1_distance_from_the_range() -> None:
    """Against a linear program's answer: the best L1 fit, found by many IRLS steps in float64."""
    generator = LinearGenerator(12, 3)
    images = torch.randn(4, 1, 1, 12, generator=torch.Generator().manual_seed(2))
    basis = generator.basis.detach().double()
    found = search(generator, images, 2000, learning_rates={0: 0.05, 0.5: 0.005, 0.75: 5e-4})
    for image, distance in zip(images, found.residual, strict=True):
        x, weights = image.flatten().double(), torch.ones(12, dtype=torch.float64)
        for _ in range(500):
            z = torch.linalg.lstsq(basis * weights[:, None].sqrt(), x * weights.sqrt()).solution
            weights = 1 / (x - basis @ z).abs().clamp(min=1e-9)
        assert float(distance) == pytest.approx(float((x - basis @ z).abs().sum()), rel=2e-3)


def test_searches_of_a_batch_are_independent() -> None:
    generator = LinearGenerator(12, 3)
    images = torch.randn(5, 1, 1, 12)
    together = search(generator, images, 50, lambda_=0.1)
    for i in range(5):
        alone = search(generator, images[i : i + 1], 50, lambda_=0.1)
        torch.testing.assert_close(alone.z[0], together.z[i], atol=1e-5, rtol=1e-5)


def test_more_starts_never_start_worse() -> None:
    generator = LinearGenerator(12, 3)
    images = torch.randn(6, 1, 1, 12)
    losses = [search(generator, images, 0, starts=n).residual for n in (16, 128, 512)]
    assert (losses[1] <= losses[0]).all()
    assert (losses[2] <= losses[1]).all()
    assert losses[2].sum() < losses[0].sum()


def test_loss_mixes_its_two_terms() -> None:
    found = settings(0, lambda_=0.1).loss(torch.tensor([10.0]), torch.tensor([20.0]))
    assert found.item() == pytest.approx(0.9 * 10 + 0.1 * 20)


def test_learning_rate_follows_its_steps() -> None:
    schedule = settings(500, learning_rates={0: 0.01, 0.4: 0.001, 0.6: 0.0005})
    assert [schedule.learning_rate(step) for step in (0, 199, 200, 299, 300, 499)] == [
        0.01,
        0.01,
        1e-3,
        1e-3,
        5e-4,
        5e-4,
    ]


def test_networks_are_frozen_only_for_the_while() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    network[0].weight.requires_grad_(False)
    with frozen(network):
        assert not any(p.requires_grad for p in network.parameters())
        assert not any(module.training for module in network.modules())
    assert all(module.training for module in network.modules())
    assert [p.requires_grad for p in network.parameters()] == [False, True, True, True]


def test_search_works_in_inference_mode_and_leaves_no_gradients() -> None:
    generator = LinearGenerator(12, 3)
    with torch.inference_mode():
        inputs = torch.randn(2, 1, 1, 12)
        found = search(generator, inputs, 5)
    assert generator.basis.grad is None
    assert not found.z.requires_grad
