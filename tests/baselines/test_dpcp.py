"""DPCP: normals by least squares and by linear programs, and points whose outliers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines.dpcp import DPCP, least_normals, least_sum
from tests.baselines.synthetic import case, feature_like, true_dimension

CASES = ("A", "B", "C", "D", "E", "hyperplane")
SEEDS = 5


def dpcp(dimension: Any, solver: Any = "irls", tolerance: Any = 1e-6, iterations: Any = 100) -> DPCP:
    return DPCP(dimension, solver, tolerance, iterations)


def test_least_squares_by_hand() -> None:
    points = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    np.testing.assert_allclose(np.abs(least_normals(points, 1))[:, 0], [0, 1, 0], atol=1e-12)
    weighted = least_normals(points, 2, weights=np.array([1, 100, 1e-3]))
    np.testing.assert_allclose(weighted @ weighted.T, np.diag([1, 0, 1]), atol=1e-12)


def test_the_linear_program_finds_the_least_sum() -> None:
    points = np.random.default_rng(0).standard_normal((31, 2))
    normal = np.array([0.6, 0.8])
    found = least_sum(points, normal)
    assert found @ normal == pytest.approx(1)
    others = normal + np.linspace(-5, 5, 20001)[:, None] * np.array([-0.8, 0.6])
    sums = np.abs(points @ others.T).sum(0)
    assert np.abs(points @ found).sum() <= sums.min() + 1e-9
    assert np.abs(points @ found).sum() == pytest.approx(sums.min(), rel=1e-3)


@pytest.mark.parametrize("solver", ["irls", "lp"])
def test_the_normal_of_a_hyperplane(solver: str) -> None:
    points, labels = case("hyperplane", seed=0)
    normal = np.linalg.svd(points[labels == 0])[2][-1]
    fitted = dpcp(9, solver).fit(points)
    np.testing.assert_allclose(fitted.own_scores, np.abs(points @ normal), atol=1e-6)
    np.testing.assert_allclose(normal @ fitted.directions, 0, atol=1e-6)


@pytest.mark.parametrize("solver", ["irls", "lp"])
def test_several_normals(solver: str) -> None:
    generator = np.random.default_rng(0)
    inliers = generator.standard_normal((60, 3)) @ generator.standard_normal((3, 6))
    fitted = dpcp(3, solver).fit(np.concatenate([inliers, generator.standard_normal((20, 6))]))
    np.testing.assert_allclose(fitted.own_scores[:60], 0, atol=1e-6)
    assert fitted.own_scores[60:].min() > 1e-3
    assert fitted.directions.shape == (6, 3)


def test_more_iterations_lower_the_sum() -> None:
    points, _ = case("D", seed=0)
    with pytest.warns(UserWarning, match=r"not converged in model\.baseline\.iterations=1"):
        once = dpcp(15, iterations=1).fit(points)
    assert dpcp(15).fit(points).own_scores.sum() < once.own_scores.sum()


@pytest.mark.parametrize("solver", ["irls", "lp"])
def test_new_points_are_measured_as_the_fitted_ones(solver: str) -> None:
    points, _ = case("hyperplane", seed=0)
    fitted = dpcp(8, solver).fit(points)
    np.testing.assert_allclose(fitted.anomaly_score(points), fitted.own_scores, atol=1e-12)
    np.testing.assert_allclose(fitted.directions.T @ fitted.directions, np.eye(8), atol=1e-12)


def test_what_lies_outside_of_the_span_adds_to_the_distance() -> None:
    points, _ = case("A", seed=0)
    fitted = dpcp(5).fit(np.pad(points, ((0, 0), (0, 1))))
    new = np.pad(case("A", seed=1)[0], ((0, 0), (0, 1)))
    outside = 0.8 * new
    outside[:, -1] = 0.6
    np.testing.assert_allclose(fitted.anomaly_score(outside), np.hypot(0.8 * fitted.anomaly_score(new), 0.6))


@pytest.mark.parametrize("name", CASES)
def test_known_outliers(name: str) -> None:
    found = []
    for seed in range(SEEDS):
        points, labels = case(name, seed)
        found.append(roc_auc_score(labels, dpcp(true_dimension(name)).fit(points).own_scores))
    assert np.mean(found) == pytest.approx(1, abs=0.01)


def test_linear_programs_find_a_hyperplane() -> None:
    for seed in range(SEEDS):
        points, labels = case("hyperplane", seed)
        assert roc_auc_score(labels, dpcp(9, "lp", iterations=10).fit(points).own_scores) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dimension", [10, None])
def test_feature_like_points(dimension: Any) -> None:
    points, labels = feature_like(categories=3, inliers=200, outliers=200, width=128, seed=0)
    assert roc_auc_score(labels, dpcp(dimension).fit(points).own_scores) > 0.99


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"dimension": 0}, "dimension"),
        ({"solver": "psgm"}, "solver"),
        ({"tolerance": -1}, "tolerance"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], option: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.baseline\.{option}="):
        dpcp(**{"dimension": 3, **wrong})
