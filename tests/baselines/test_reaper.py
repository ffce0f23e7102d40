"""REAPER: its spectrum, that its projector is optimal, and points whose outliers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines.reaper import REAPER, projector_spectrum
from tests.baselines.synthetic import case, feature_like, true_dimension

# The relaxation is weaker where the inliers fill almost the whole space: 0.973 is the mean of 60 seeds, 0.016 their
# standard deviation.
AUROC = {"A": 1.0, "B": 1.0, "C": 1.0, "D": 1.0, "E": 1.0, "hyperplane": 0.973}
SEEDS = 5


def reaper(dimension: Any, tolerance: Any = 1e-8, iterations: Any = 200) -> REAPER:
    return REAPER(dimension, tolerance, iterations)


@pytest.mark.parametrize("d", [1, 3, 7, 11])
def test_the_spectrum_has_the_trace_d_and_meets_its_equation(d: int) -> None:
    values = np.sort(np.random.default_rng(d).exponential(size=12) ** 3)[::-1]
    shares = projector_spectrum(values, d)
    assert shares.sum() == pytest.approx(d, abs=1e-12)
    theta = brentq(lambda theta: np.maximum(1 - theta / values, 0).sum() - d, 0, values[0], xtol=1e-15)
    np.testing.assert_allclose(shares, np.maximum(1 - theta / values, 0), atol=1e-9)


@pytest.mark.parametrize("values", [[4, 2, 0, 0], [4, 2, 1e-30, -1e-17], [3, 3, 3, 3]])
def test_spectra_at_the_edges(values: list[float]) -> None:
    found = projector_spectrum(np.array(values, dtype=np.float64), 2)
    np.testing.assert_allclose(found, [0.5] * 4 if values[3] == 3 else [1, 1, 0, 0], atol=1e-12)
    assert projector_spectrum(np.array(values, dtype=np.float64), 4).tolist() == [1, 1, 1, 1]


def test_no_other_projector_is_better() -> None:
    """The objective is convex: no P of trace d is better if none is along the gradient."""
    points, _ = case("D", seed=0)
    fitted = reaper(15, tolerance=1e-15).fit(points)
    p = fitted.directions @ fitted.directions.T
    values = np.linalg.eigvalsh(p)
    assert values.min() > -1e-12
    assert values.max() < 1 + 1e-12
    assert np.trace(p) == pytest.approx(15)
    distances = points - points @ p
    np.testing.assert_allclose(np.linalg.norm(distances, axis=1), fitted.own_scores, atol=1e-12)
    descent = (distances / fitted.own_scores[:, None]).T @ points
    descent = (descent + descent.T) / 2
    best = np.linalg.eigvalsh(descent)[-15:].sum()
    assert best - np.sum(descent * p) < 1e-5 * fitted.own_scores.sum()


def test_new_points_are_measured_as_the_fitted_ones() -> None:
    points, _ = case("C", seed=0)
    fitted = reaper(15).fit(points)
    np.testing.assert_allclose(fitted.anomaly_score(points), fitted.own_scores, atol=1e-12)


def test_what_lies_outside_of_the_span_adds_to_the_distance() -> None:
    points, _ = case("A", seed=0)
    fitted = reaper(5).fit(np.pad(points, ((0, 0), (0, 1))))
    new = np.pad(case("A", seed=1)[0], ((0, 0), (0, 1)))
    outside = 0.8 * new
    outside[:, -1] = 0.6
    np.testing.assert_allclose(fitted.anomaly_score(outside), np.hypot(0.8 * fitted.anomaly_score(new), 0.6))


@pytest.mark.parametrize("name", AUROC)
def test_known_outliers(name: str) -> None:
    found = []
    for seed in range(SEEDS):
        points, labels = case(name, seed)
        found.append(roc_auc_score(labels, reaper(true_dimension(name)).fit(points).own_scores))
    assert np.mean(found) == pytest.approx(AUROC[name], abs=0.01)


@pytest.mark.parametrize("dimension", [10, None, 0.5])
def test_feature_like_points(dimension: Any) -> None:
    points, labels = feature_like(categories=3, inliers=150, outliers=150, width=128, seed=0)
    assert roc_auc_score(labels, reaper(dimension).fit(points).own_scores) > 0.99


def test_too_few_iterations_are_told() -> None:
    with pytest.warns(UserWarning, match=r"not converged in model\.baseline\.iterations=2"):
        reaper(15, iterations=2).fit(case("E", seed=0)[0])


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"dimension": 0}, "dimension"), ({"tolerance": -1}, "tolerance"), ({"iterations": 0}, "iterations")],
)
def test_wrong_numbers(wrong: dict[str, Any], option: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.baseline\.{option}="):
        reaper(**{"dimension": 3, **wrong})
