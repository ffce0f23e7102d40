"""Elastic nets: by hand, against optimality conditions and scikit-learn's objective, and where points are awkward."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet

from semigan_pl.baselines import elastic_net
from semigan_pl.baselines.base import unit_length
from semigan_pl.baselines.elastic_net import representation, self_representation
from tests.baselines.synthetic import case, feature_like

Array = NDArray[np.float64]


def drawn(n: int, dimension: int, seed: int = 0) -> Array:
    return unit_length(np.random.default_rng(seed).standard_normal((n, dimension)))


def alone(points: Array, target: Array, alpha: float, lambda_: float) -> Array:
    """How the points represent a new one."""
    row: Array = representation(points, target, alpha, lambda_).toarray()[0]
    return row


AWKWARD = {
    "more points than dimensions": drawn(150, 3),
    "a plane": drawn(150, 2),
    "a line": drawn(20, 1),
    "duplicates": np.repeat(drawn(20, 6), 4, axis=0),
    "near duplicates": unit_length(np.repeat(drawn(20, 6), 4, axis=0) + 1e-9 * drawn(80, 6, seed=1)),
    "opposite points": np.concatenate([drawn(25, 5), -drawn(25, 5)]),
    "zero vectors": np.concatenate([drawn(30, 5), np.zeros((3, 5))]),
    "nothing but zero": np.zeros((4, 5)),
    "orthogonal": np.eye(6),
    "two points": drawn(2, 3),
    "two equal points": unit_length(np.ones((2, 3))),
    "more dimensions than points": drawn(20, 200),
    "nearly one direction": unit_length(1 + 1e-4 * drawn(80, 10)),
    "a grid, many products equal": unit_length(np.random.default_rng(0).integers(0, 2, (100, 8))),
    "noisy subspaces": case("D", 0)[0][::6],
    "features": unit_length(feature_like(2, 60, 60, 64, seed=0)[0]),
}


def weights(points: Array, target: Array, own: int | None, alpha: float, lambda_: float) -> tuple[Array, float, float]:
    """Products with the target, mu and rho."""
    g = points @ target
    if own is not None:
        g[own] = 0
    mu = np.abs(g).max() / alpha
    return g, mu, mu * (1 - lambda_) / lambda_


def objective(points: Array, j: int, r: Array, alpha: float, lambda_: float) -> float:
    """As the paper writes it, divided by gamma: the value of r = 0 is 1/2."""
    _, mu, rho = weights(points, points[j], j, alpha, lambda_)
    return float(mu * np.abs(r).sum() + rho / 2 * r @ r + np.sum((points[j] - r @ points) ** 2) / 2)


@pytest.mark.parametrize("lambda_", [0.05, 0.95])
@pytest.mark.parametrize("alpha", [1.5, 10.0, 200.0])
@pytest.mark.parametrize("name", AWKWARD)
def test_optimality_conditions_hold_to_rounding(name: str, alpha: float, lambda_: float) -> None:
    points = AWKWARD[name]
    found = self_representation(points, alpha, lambda_).toarray()
    for j, r in enumerate(found):
        g, mu, rho = weights(points, points[j], j, alpha, lambda_)
        assert r[j] == 0
        if np.abs(g).max() < 1e-6:
            assert not r.any()
            continue
        c = points @ (points[j] - r @ points)
        c[j] = 0
        # r = S_mu(c)/rho, times rho: what remains is the rounding of the products
        np.testing.assert_allclose(rho * r, np.sign(c) * np.maximum(np.abs(c) - mu, 0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", AWKWARD)
def test_nothing_is_represented_up_to_alpha_1(name: str) -> None:
    points = AWKWARD[name]
    assert self_representation(points, 1.0, 0.95).nnz == 0
    assert self_representation(points, 0.3, 0.95).nnz == 0
    some = (np.abs(points @ points.T - np.diag(np.sum(points**2, axis=1))) > 1e-6).any(axis=1)
    assert ((np.diff(self_representation(points, 1.001, 0.95).indptr) > 0) == some).all()


def test_two_points_by_hand() -> None:
    points = np.array([[1.0, 0.0], [0.6, 0.8]])
    mu, rho = 0.6 / 10, 0.6 / 10 * 0.25 / 0.75
    r = (0.6 - mu) / (1 + rho)
    np.testing.assert_allclose(self_representation(points, 10, 0.75).toarray(), [[0, r], [r, 0]], rtol=1e-14)


def test_an_orthonormal_basis_represents_by_soft_thresholding() -> None:
    target = np.array([0.8, -0.59, 0.1, 0.05])
    mu, rho = 0.8 / 5, 0.8 / 5 / 9
    expected = np.sign(target) * np.maximum(np.abs(target) - mu, 0) / (1 + rho)
    np.testing.assert_allclose(alone(np.eye(4), target, 5, 0.9), expected, rtol=1e-14)


def test_duplicates_share_alike() -> None:
    points = drawn(8, 4)
    shares = alone(np.repeat(points, 2, axis=0), drawn(1, 4, seed=9)[0], 10, 0.5).reshape(8, 2)
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], rtol=1e-12)
    assert shares.any()


@pytest.mark.parametrize("alpha", [5.0, 50.0])
def test_the_objective_is_that_of_scikit_learn(alpha: float) -> None:
    points, lambda_ = unit_length(feature_like(2, 60, 60, 24, seed=1)[0]), 0.95
    found = self_representation(points, alpha, lambda_).toarray()
    for j in range(0, len(points), 6):
        others = np.delete(np.arange(len(points)), j)
        _, mu, _ = weights(points, points[j], j, alpha, lambda_)
        net = ElasticNet(
            alpha=mu / lambda_ / points.shape[1], l1_ratio=lambda_, fit_intercept=False, tol=1e-8, max_iter=10**6
        )
        r = np.zeros(len(points))
        r[others] = net.fit(np.asfortranarray(points[others].T), points[j]).coef_
        ours, theirs = (objective(points, j, values, alpha, lambda_) for values in (found[j], r))
        assert ours <= theirs * (1 + 1e-12)  # an exact solution has the least there is
        assert ours == pytest.approx(theirs, rel=1e-6)


def test_portions_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    points = case("D", 1)[0][::5]
    whole = self_representation(points, 10, 0.95).toarray()
    monkeypatch.setattr(elastic_net, "BLOCK", 7)
    monkeypatch.setattr(elastic_net, "VALUES", 3000)  # targets of the inner systems one by one
    monkeypatch.setattr(elastic_net, "SYSTEMS", 2)
    np.testing.assert_allclose(self_representation(points, 10, 0.95).toarray(), whole, rtol=0, atol=1e-12)


def test_rows_are_those_of_points_alone() -> None:
    points = case("C", 0)[0][::8]
    found = self_representation(points, 10, 0.95).toarray()
    for j in range(0, len(points), 10):
        row = alone(np.delete(points, j, axis=0), points[j], 10, 0.95)
        np.testing.assert_allclose(np.delete(found[j], j), row, rtol=0, atol=1e-12)


def test_what_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic_net, "NEWTON_STEPS", 1)
    with pytest.raises(FloatingPointError, match="did not converge: set a smaller alpha"):
        self_representation(drawn(50, 4), 50, 0.95)
