import torch

from semigan_pl.losses.distances import anomaly_map, feature_distance, residual
from semigan_pl.losses.penalties import gradient_penalty, interpolate


def test_penalty_of_a_linear_critic_is_the_distance_of_its_slope_from_one() -> None:
    slope = torch.randn(2, 4, 4, dtype=torch.float64)
    points = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), points)
    torch.testing.assert_close(penalty, ((slope.norm() - 1) ** 2).expand(5))


def test_penalty_reaches_the_weights() -> None:
    weight = torch.ones(3, requires_grad=True)
    gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), torch.randn(2, 1, 1, 3)).sum().backward()
    assert weight.grad is not None
    assert (weight.grad > 0).all()  # shorter is closer to slope one


def test_interpolation_draws_once_per_image() -> None:
    real, fake = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    points = interpolate(real, fake, torch.tensor([0.25, 1.0]))
    assert torch.equal(points[0], torch.full((3, 4, 4), 0.25))
    assert torch.equal(points[1], real[1])


def test_distances_are_sums_per_image_and_maps_means_over_channels() -> None:
    x, y = torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
    y[1, 0] = -0.5
    assert residual(x, y).tolist() == [0.0, 2.0]
    assert feature_distance(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).tolist() == [3.0]
    torch.testing.assert_close(anomaly_map(x, y)[1, 0], torch.full((2, 2), 0.5 / 3))
