"""Outlier pursuit: its decomposition is optimal, and points whose outliers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines.base import unit_length
from semigan_pl.baselines.outlier_pursuit import OutlierPursuit
from tests.baselines.synthetic import case, feature_like

# lambda that finds all outliers (ours: methods.md has no figures of this method).
AUROC = [("A", 0.2), ("A", 0.3), ("B", 0.3), ("C", 0.2), ("C", 0.3), ("D", 0.3), ("E", 0.2)]


def pursuit(lambda_: Any, rho: Any = 1.1, tolerance: Any = 1e-8, iterations: Any = 1000) -> OutlierPursuit:
    return OutlierPursuit(lambda_, rho, tolerance, iterations)


def reference(x: np.ndarray, lambda_: float) -> np.ndarray:
    """||C_j|| of points as columns, (D, N), by alternating directions with one penalty: slow, sure to converge."""
    c, y = np.zeros_like(x), np.zeros_like(x)
    for _ in range(3000):
        u, s, vt = np.linalg.svd(x - c + y, full_matrices=False)
        low_rank = (u * np.maximum(s - 1, 0)) @ vt
        w = x - low_rank + y
        c = w * np.maximum(1 - lambda_ / np.linalg.norm(w, axis=0), 0)
        y += x - low_rank - c
    return np.linalg.norm(c, axis=0)


@pytest.mark.parametrize(("n", "dimension"), [(30, 10), (24, 40)])
def test_the_decomposition_is_optimal(n: int, dimension: int) -> None:
    generator = np.random.default_rng(0)
    inliers = generator.standard_normal((n, 3)) @ generator.standard_normal((3, dimension))
    points = unit_length(np.concatenate([inliers, generator.standard_normal((n // 3, dimension))]))
    expected = reference(points.T, lambda_=0.5)
    assert (expected > 0.1).any()
    assert (expected < 0.1).any()
    np.testing.assert_allclose(pursuit(0.5).fit(points).own_scores, expected, atol=1e-4)


@pytest.mark.parametrize(("name", "lambda_"), [("A", 0.2), ("C", 0.3), ("D", 0.25), ("E", 0.3)])
def test_new_points_are_scored_as_the_fitted_ones(name: str, lambda_: float) -> None:
    points, _ = case(name, seed=0)
    fitted = pursuit(lambda_).fit(points)
    np.testing.assert_allclose(fitted.anomaly_score(points), fitted.own_scores, atol=1e-4)


@pytest.mark.parametrize(("name", "lambda_"), AUROC)
def test_known_outliers(name: str, lambda_: float) -> None:
    points, labels = case(name, seed=1)
    assert roc_auc_score(labels, pursuit(lambda_).fit(points).own_scores) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("lambda_", [0.2, None])
def test_feature_like_points(lambda_: float | None) -> None:
    points, labels = feature_like(categories=3, inliers=150, outliers=150, width=64, seed=0)
    assert roc_auc_score(labels, pursuit(lambda_).fit(points).own_scores) > 0.99


@pytest.mark.parametrize("name", "ABCDE")
def test_lambda_without_labels(name: str) -> None:
    points, labels = case(name, seed=0)
    assert roc_auc_score(labels, pursuit(None).fit(points).own_scores) == pytest.approx(1, abs=0.01)


def test_the_lambda_of_the_paper_is_useless_with_many_outliers() -> None:
    points, labels = case("C", seed=0)
    lambda_ = 3 / (7 * np.sqrt(labels.sum()))
    assert lambda_ * np.linalg.norm(points, 2) <= 1
    with pytest.warns(UserWarning, match=r"OutlierPursuit: model\.baseline\.lambda_=0\.02.* explains no point"):
        fitted = pursuit(float(lambda_)).fit(points)
    np.testing.assert_allclose(fitted.own_scores, 1, atol=1e-6)
    np.testing.assert_allclose(fitted.anomaly_score(points), 1)


def test_too_large_a_lambda_is_told() -> None:
    with pytest.warns(UserWarning, match="explains every point, all scores are 0"):
        pursuit(1.5).fit(case("A", seed=0)[0])


def test_too_few_iterations_are_told() -> None:
    with pytest.warns(UserWarning, match=r"OutlierPursuit: .* not converged in model\.baseline\.iterations=130"):
        pursuit(0.3, iterations=130).fit(case("A", seed=0)[0])


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"lambda_": -1}, "lambda_"), ({"rho": 0.9}, "rho"), ({"tolerance": 0}, "tolerance"), ({"iterations": 0}, "iter")],
)
def test_wrong_numbers(wrong: dict[str, Any], option: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.baseline\.{option}"):
        pursuit(**{"lambda_": 0.2, **wrong})
