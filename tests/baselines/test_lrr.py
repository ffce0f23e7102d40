"""LRR: against the algorithm without reduction, and points whose outliers are known."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines.base import unit_length
from semigan_pl.baselines.low_rank import balanced_lambda
from semigan_pl.baselines.lrr import LRR
from tests.baselines.synthetic import case, feature_like

# lambda that finds all outliers, and too large ones, which explain them as well as the inliers.
AUROC = [("A", 0.05), ("A", 0.4), ("B", 0.05), ("C", 0.1), ("E", 0.05)]
EXPLAINED = [("A", 0.8), ("B", 0.8), ("C", 0.2), ("D", 0.2), ("E", 0.2)]


def lrr(lambda_: Any, rho: Any = 1.1, tolerance: Any = 1e-8, iterations: Any = 1000) -> LRR:
    return LRR(lambda_, rho, tolerance, iterations)


def reference(x: np.ndarray, lambda_: float) -> np.ndarray:
    """||E_j|| of points as columns, (D, N), with the points themselves as dictionary: Z is (N, N)."""
    n = x.shape[1]
    z, y2, e, y1, mu = np.zeros((n, n)), np.zeros((n, n)), np.zeros_like(x), np.zeros_like(x), 1e-6
    inverse = np.linalg.inv(x.T @ x + np.eye(n))
    for _ in range(1000):
        u, s, vt = np.linalg.svd(z + y2 / mu)
        j = (u * np.maximum(s - 1 / mu, 0)) @ vt
        z = inverse @ (x.T @ (x - e) + j + (x.T @ y1 - y2) / mu)
        w = x - x @ z + y1 / mu
        e = w * np.maximum(1 - lambda_ / (mu * np.linalg.norm(w, axis=0)), 0)
        h1, h2 = x - x @ z - e, z - j
        if max(np.abs(h1).max(), np.abs(h2).max()) < 1e-8:
            return np.linalg.norm(e, axis=0)
        y1, y2, mu = y1 + mu * h1, y2 + mu * h2, min(1.1 * mu, 1e10)
    raise AssertionError("no convergence")


@pytest.mark.parametrize(("n", "dimension"), [(30, 10), (24, 40)])
def test_the_reduction_loses_nothing(n: int, dimension: int) -> None:
    generator = np.random.default_rng(0)
    inliers = generator.standard_normal((n, 3)) @ generator.standard_normal((3, dimension))
    points = unit_length(np.concatenate([inliers, generator.standard_normal((n // 3, dimension))]))
    expected = reference(points.T, lambda_=0.3)
    assert expected.min() < 0.1 < 0.9 < expected.max()
    np.testing.assert_allclose(lrr(0.3).fit(points).own_scores, expected, atol=1e-5)


def test_new_points_are_scored_as_the_fitted_ones() -> None:
    """Where it is optimal, which slow penalties come closer to: the scores of fitted points are what they were."""
    points, _ = case("A", seed=0)
    for rho, most in ((1.1, 1e-3), (1.02, 1e-4)):
        fitted = lrr(0.1, rho, iterations=3000).fit(points)
        np.testing.assert_allclose(fitted.anomaly_score(points), fitted.own_scores, atol=most)


def test_what_lies_outside_of_the_span_is_left_over() -> None:
    points, _ = case("A", seed=0)
    fitted = lrr(0.1).fit(np.pad(points, ((0, 0), (0, 1))))
    outside = 0.8 * np.pad(points, ((0, 0), (0, 1)))
    outside[:, -1] = 0.6
    scores = fitted.anomaly_score(outside)
    assert (scores >= 0.6).all()
    assert (scores >= 0.8 * fitted.anomaly_score(np.pad(points, ((0, 0), (0, 1)))) - 1e-9).all()


@pytest.mark.parametrize(("name", "lambda_"), AUROC)
def test_known_outliers(name: str, lambda_: float) -> None:
    points, labels = case(name, seed=1)
    assert roc_auc_score(labels, lrr(lambda_).fit(points).own_scores) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("name", "lambda_"), EXPLAINED)
def test_too_large_a_lambda_explains_outliers_too(name: str, lambda_: float) -> None:
    points, labels = case(name, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = roc_auc_score(labels, lrr(lambda_).fit(points).own_scores)
    assert found == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("lambda_", [0.05, None])
def test_feature_like_points(lambda_: float | None) -> None:
    points, labels = feature_like(categories=3, inliers=150, outliers=150, width=64, seed=0)
    assert roc_auc_score(labels, lrr(lambda_).fit(points).own_scores) > 0.99


@pytest.mark.parametrize("name", "ADE")
def test_lambda_without_labels(name: str) -> None:
    points, labels = case(name, seed=0)
    assert roc_auc_score(labels, lrr(None).fit(points).own_scores) == pytest.approx(1, abs=0.01)


def test_more_points_get_a_smaller_lambda() -> None:
    points, labels = case("A", seed=0)
    once, often = lrr(None).fit(points), lrr(None).fit(np.tile(points, (3, 1)))
    assert often.weight == pytest.approx(once.weight / 3)
    assert roc_auc_score(np.tile(labels, 3), often.own_scores) == pytest.approx(1, abs=0.01)


def test_the_balance_by_hand() -> None:
    assert balanced_lambda(np.sqrt([9.0, 1.0, 1.0, 1.0]), count=40) == pytest.approx(2 * np.sqrt(1 * 4) / 40)


@pytest.mark.parametrize(("lambda_", "told"), [(2, "explains every point, all scores are 0"), (1e-3, "no point")])
def test_a_useless_lambda_is_told(lambda_: float, told: str) -> None:
    with pytest.warns(UserWarning, match=rf"LRR: model\.baseline\.lambda_={lambda_} explains.*") as warned:
        fitted = lrr(lambda_).fit(np.concatenate([case("A", seed=0)[0], np.zeros((1, 50))]))
    assert told in str(warned[0].message)
    assert fitted.own_scores[-1] == 0


def test_too_few_iterations_are_told() -> None:
    with pytest.warns(UserWarning, match=r"LRR: .* not converged in model\.baseline\.iterations=160"):
        lrr(0.1, iterations=160).fit(case("A", seed=0)[0])


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"lambda_": 0}, "lambda_"), ({"rho": 1}, "rho"), ({"tolerance": 0}, "tolerance"), ({"iterations": 0.5}, "iter")],
)
def test_wrong_numbers(wrong: dict[str, Any], option: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.baseline\.{option}"):
        lrr(**{"lambda_": 0.05, **wrong})
