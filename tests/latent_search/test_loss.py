"""The loss of a search, against formulas and a closed form."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from semigan_pl.latent_search.loss import SearchLoss
from tests.latent_search.linear import LinearGenerator, search, settings

NOISE = torch.Generator().manual_seed(0)
IMAGES, OTHERS = (torch.randn(n, 2, 3, 3, generator=NOISE) for n in (5, 4))


def test_equation_four_and_the_prior() -> None:
    z, residual, discrimination = torch.tensor([[3.0, 4.0]]), torch.tensor([10.0]), torch.tensor([20.0])
    assert SearchLoss(0.1, "absolute", 0.0)(z, residual, discrimination).item() == pytest.approx(0.9 * 10 + 0.1 * 20)
    assert SearchLoss(0.1, "absolute", 0.4)(z, residual, discrimination).item() == pytest.approx(11 + 0.2 * 25)


@pytest.mark.parametrize(("distance", "power"), [("absolute", 1), ("squared", 2)])
def test_distances_are_sums_of_powers_of_differences(distance: str, power: int) -> None:
    loss = SearchLoss(0.1, distance, 0.0)
    expected = (IMAGES[:, None] - OTHERS).abs().pow(power).flatten(2).sum(2)  # (5, 4)
    torch.testing.assert_close(loss.between(IMAGES[:4], OTHERS), expected.diagonal())
    torch.testing.assert_close(loss.length(expected), expected.pow(1 / power))
    torch.testing.assert_close(loss.between_all(IMAGES.flatten(1), OTHERS.flatten(1)), expected)


@pytest.mark.parametrize("prior", [0.0, 0.5, 2.0])
def test_the_most_probable_latent_of_a_linear_generator(prior: float) -> None:
    """|x - W z|^2 + prior / 2 |z|^2 is least at z = W^T x / (1 + prior / 2), for W with orthonormal columns."""
    generator = LinearGenerator(12, 3)
    images = torch.randn(6, 1, 1, 12, generator=torch.Generator().manual_seed(1))
    found = search(generator, images, steps=1500, distance="squared", prior=prior, keep_best=True)
    expected = images.flatten(1) @ generator.basis / (1 + prior / 2)
    torch.testing.assert_close(found.z, expected, atol=2e-3, rtol=0)
    squares = (images.flatten(1) - expected @ generator.basis.T).square().sum(1)
    torch.testing.assert_close(found.loss, squares + prior / 2 * expected.square().sum(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("distance", ["absolute", "squared"])
def test_large_images_are_compared_at_the_same_scale(distance: str) -> None:
    """Flat blocks of 4 x 4 pixels: their thumbnails lose nothing, so that distances are exact."""

    class Blocks(LinearGenerator):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return interpolate((z @ self.basis.T).view(-1, 1, 32, 32), scale_factor=4)

    generator = Blocks(32 * 32, 2)
    images = generator(torch.randn(3, 2, generator=torch.Generator().manual_seed(2))).detach()
    prepared = settings(0, distance=distance, starts=7).prepare(generator, _Coarse(), (1, 128, 128))
    starts = prepared.starts
    found = starts._distances(images, _Coarse().features(images))
    loss = prepared.objective.loss
    samples = generator(starts.z).detach()
    expected = torch.stack([loss.between(images, sample.expand_as(images)) for sample in samples], 1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


class _Coarse(torch.nn.Module):
    """Features that weigh nothing here: lambda is 0."""

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, ::16, ::16].flatten(1)
