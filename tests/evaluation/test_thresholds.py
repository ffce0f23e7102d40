"""Thresholds: against brute force, and where their place is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semigan_pl.evaluation.scores import decide
from semigan_pl.evaluation.thresholds import decision_threshold, youden_threshold


def normal_grid(n: int, mean: float = 0.0) -> np.ndarray:
    """`n` scores that follow N(mean, 1) without chance: its quantiles."""
    return np.array([NormalDist(mean).inv_cdf((i + 0.5) / n) for i in range(n)])


def youden(scores: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    called = scores > threshold
    return float(called[labels == 1].mean() - called[labels == 0].mean())


scores_and_labels = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 1)), min_size=1, max_size=25)


@settings(max_examples=100, deadline=None)
@given(scores_and_labels, st.sampled_from((1e-3, 1.0, 1e6)))
def test_no_other_cut_separates_better(rows: list[tuple[int, int]], scale: float) -> None:
    scores: np.ndarray = np.array([0.0, 0.0, *(score for score, _ in rows)]) * scale
    labels = np.array([0, 1, *(label for _, label in rows)])
    best = max(youden(scores, labels, cut) for cut in (-np.inf, *np.unique(scores)))
    assert youden(scores, labels, youden_threshold(scores, labels)) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separable_scores_are_cut_halfway(dtype: type) -> None:
    scores: np.ndarray = np.array([1.0, 5.0, 3.0, 9.0, 12.0], dtype=dtype)
    assert decision_threshold(scores, np.array([0, 0, 0, 1, 1]), 0.95) == 7.0


def test_two_normals_of_equal_width_are_cut_in_the_middle() -> None:
    scores = np.concatenate([normal_grid(999), normal_grid(999, 4.0)])
    labels = np.repeat([0, 1], 999)
    assert decision_threshold(scores, labels, 0.95) == pytest.approx(2.0, abs=0.1)  # a flat maximum


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_contamination_of_the_pool_hardly_moves_it(share: float) -> None:
    known, hidden = normal_grid(200, 4.0), normal_grid(round(1000 * share), 4.0)
    clean, pool = normal_grid(1000), np.concatenate([normal_grid(1000 - len(hidden)), hidden])
    cuts = [
        decision_threshold(np.concatenate([each, known]), np.repeat([0, 1], [len(each), len(known)]), 0.95)
        for each in (clean, pool)
    ]
    assert cuts[1] == pytest.approx(cuts[0], abs=0.15)


def test_the_share_of_known_anomalies_does_not_move_it() -> None:
    pool, known = normal_grid(500), normal_grid(50, 3.0)
    few = youden_threshold(np.concatenate([pool, known]), np.repeat([0, 1], [500, 50]))
    many = youden_threshold(np.concatenate([pool, np.tile(known, 20)]), np.repeat([0, 1], [500, 1000]))
    assert few == many


def test_without_known_anomalies_the_quantile_decides() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(101.0))
    nothing_known = np.zeros(101, dtype=np.int64)
    assert decision_threshold(scores, nothing_known, 0.95) == pytest.approx(95.0)
    assert decision_threshold(scores.astype(np.float32), nothing_known, 0.5) == pytest.approx(50.0)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 1, 1]])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_constant_scores_call_nothing_anomalous(labels: list[int], value: float) -> None:
    scores = np.full(4, value, dtype=np.float32)
    assert not (scores > decision_threshold(scores, np.array(labels), 0.95)).any()


def test_reversed_scores_call_nothing_anomalous() -> None:
    scores, labels = np.array([1.0, 2.0, 8.0, 9.0]), np.array([1, 1, 0, 0])
    assert not (scores > youden_threshold(scores, labels)).any()


def test_neighbouring_floats_are_separated() -> None:
    below = np.nextafter(np.float32(1), np.float32(2))
    scores = np.array([1, below, np.nextafter(below, np.float32(2))], dtype=np.float32)
    threshold = decision_threshold(scores, np.array([0, 0, 1]), 0.95)
    assert decide(scores, threshold).tolist() == [0, 0, 1]
