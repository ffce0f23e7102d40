"""CoP: against its definition, and what it does with points whose outliers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semigan_pl.baselines import cop
from semigan_pl.baselines.cop import CoP
from tests.baselines.synthetic import case, feature_like

AUROC = {"A": (1, 1), "B": (1, 0.998), "C": (1, 0.998), "D": (1, 0.998), "E": (0.9996, 0.990)}  # of power 2 and 1
SEEDS = 5


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("n", [5, 40])  # fewer points than dimensions, and more
def test_scores_are_mean_coherences(n: int, power: Any) -> None:
    points = case("C", seed=0)[0][:n, :20]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    gram = np.abs(points @ points.T)
    expected = (gram - np.diag(np.diag(gram))) ** power
    fitted = CoP(power).fit(points)
    np.testing.assert_allclose(fitted.own_scores, -expected.sum(1) / (n - 1), atol=1e-12)
    np.testing.assert_allclose(fitted.anomaly_score(points), -(gram**power).mean(1), atol=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = case("A", seed=0)[0]
    whole = CoP(power=1).fit(points)
    monkeypatch.setattr(cop, "BLOCK", 7)
    np.testing.assert_allclose(CoP(power=1).fit(points).own_scores, whole.own_scores, rtol=1e-12)


def test_scores_do_not_grow_with_the_number_of_points() -> None:
    points, _ = case("A", seed=0)
    new = case("A", seed=1)[0]
    once, often = CoP(power=2).fit(points), CoP(power=2).fit(np.tile(points, (3, 1)))
    np.testing.assert_allclose(often.anomaly_score(new), once.anomaly_score(new), rtol=1e-9)


@pytest.mark.parametrize("name", AUROC)
def test_known_outliers(name: str) -> None:
    found = np.zeros((SEEDS, 2))
    for seed in range(SEEDS):
        points, labels = case(name, seed)
        found[seed] = [roc_auc_score(labels, CoP(power).fit(points).own_scores) for power in (2, 1)]
    np.testing.assert_allclose(found.mean(0), AUROC[name], atol=0.01)


def test_feature_like_points() -> None:
    points, labels = feature_like(categories=3, inliers=150, outliers=150, width=128, seed=0)
    assert roc_auc_score(labels, CoP(power=2).fit(points).own_scores) > 0.999


@pytest.mark.parametrize("power", [0, 3, True, None, "2"])
def test_other_powers(power: Any) -> None:
    with pytest.raises(ValueError, match=r"model\.baseline\.power=.* must be 1 or 2"):
        CoP(power)
