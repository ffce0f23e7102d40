"""The hypersphere's losses: by hand, against the paper's sums over a joint set, and their gradients."""

import pytest
import torch

from semigan_pl.losses.hypersphere import away_from_zero, hypersphere_terms, squared_distance


def test_distances_by_hand_and_in_float32() -> None:
    representations = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.bfloat16)
    distances = squared_distance(representations, torch.tensor([1.0, 0.0]))
    assert distances.tolist() == [4.0, 4.25]
    assert distances.dtype == torch.float32


def test_weighted_means_of_the_joint_set_are_the_sums_of_the_paper() -> None:
    unlabelled, known = torch.rand(12, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    terms = hypersphere_terms(unlabelled, known, known_share=4 / 16, eta=3.0, epsilon=1e-6)
    torch.testing.assert_close(terms["e_distance"], unlabelled.sum() / 16)
    torch.testing.assert_close(terms["e_known_anomalies"], 3 / 16 * (1 / (known + 1e-6)).sum())


def test_the_share_is_that_of_the_set_however_many_a_batch_shows() -> None:
    unlabelled, known = torch.rand(6), torch.rand(3) + 1
    once = hypersphere_terms(unlabelled, known, 0.1, eta=1.0, epsilon=0.5)
    often = hypersphere_terms(unlabelled, known.repeat(5), 0.1, eta=1.0, epsilon=0.5)
    torch.testing.assert_close(once, often)


def test_without_known_anomalies_it_is_the_mean_distance() -> None:
    terms = hypersphere_terms(torch.tensor([1.0, 3.0]), torch.empty(0), known_share=0.5, eta=1.0, epsilon=1e-6)
    assert {name: float(value) for name, value in terms.items()} == {"e_distance": 2.0}


def test_an_anomaly_on_the_center_costs_no_more_than_the_inverse_of_epsilon() -> None:
    terms = hypersphere_terms(torch.zeros(1), torch.zeros(1), known_share=0.5, eta=1.0, epsilon=1e-6)
    assert float(terms["e_known_anomalies"]) == pytest.approx(0.5e6)


def test_gradients() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def loss(x: torch.Tensor) -> torch.Tensor:
        distances = (x - 0.3).square().sum(1)
        return sum(hypersphere_terms(distances[:3], distances[3:], 0.4, 2.0, 1e-2).values(), torch.zeros(()))

    assert torch.autograd.gradcheck(loss, x)


def test_unlabelled_images_are_drawn_in_and_known_anomalies_driven_out() -> None:
    x = torch.tensor([[2.0, 0.0], [0.0, 1.0]], requires_grad=True)
    distances = squared_distance(x, torch.zeros(2))
    sum(hypersphere_terms(distances[:1], distances[1:], 0.5, 1.0, 1e-6).values()).backward()  # type: ignore[union-attr]
    assert x.grad is not None
    assert x.grad[0, 0] > 0  # a step against it shortens
    assert x.grad[1, 1] < 0  # and lengthens


def test_no_coordinate_of_the_center_is_nearly_zero() -> None:
    center = torch.tensor([-0.5, -0.1, -0.01, 0.0, 0.03, 0.1, 2.0])
    moved = away_from_zero(center, 0.1)
    torch.testing.assert_close(moved, torch.tensor([-0.5, -0.1, -0.1, 0.1, 0.1, 0.1, 2.0]))
    assert torch.equal(away_from_zero(center, 0.0), center)
