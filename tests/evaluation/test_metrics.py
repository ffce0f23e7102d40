"""Metrics against counting by hand and against scikit-learn, on raw scores of any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from semigan_pl.evaluation.metrics import at_threshold, auroc, average_precision, f1_max, f1_max_inlier

METRICS = (auroc, average_precision, f1_max, f1_max_inlier)
SCALES = (1e-3, 1.0, 1e6)


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Both classes, few distinct scores (many ties), of very different sizes."""
    rows = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=2, max_size=30))
    labels = np.array([0, 1] + [label for label, _ in rows])
    scores = np.array([draw(st.integers(-4, 4)), draw(st.integers(-4, 4))] + [score for _, score in rows])
    return labels, scores * draw(st.sampled_from(SCALES)) + draw(st.sampled_from((0.0, 1e6)))


def mann_whitney(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs (anomaly, normal) in the right order, ties counted half."""
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def best_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """Best F1 of `truth`, by trying every cut."""
    decisions = [scores >= cut for cut in np.unique(scores)]
    return max(2 * np.sum(d & (truth == 1)) / (np.sum(d) + np.sum(truth)) for d in decisions)


@settings(max_examples=100, deadline=None)
@given(labelled_scores())
def test_auroc_counts_pairs(case: tuple[np.ndarray, np.ndarray]) -> None:
    assert auroc(*case) == pytest.approx(mann_whitney(*case), abs=1e-12)
    assert auroc(*case) == pytest.approx(roc_auc_score(*case), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(labelled_scores())
def test_best_f1_is_that_of_the_best_cut(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert f1_max(labels, scores) == pytest.approx(best_f1(labels, scores), abs=1e-12)
    assert f1_max_inlier(labels, scores) == pytest.approx(best_f1(1 - labels, -scores), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(labelled_scores())
def test_average_precision_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    assert average_precision(*case) == pytest.approx(average_precision_score(*case), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_only_the_order_of_scores_counts(metric: Callable[..., float | None]) -> None:
    """No sigmoid and no bins: scores around a million are told apart as well as scores in [0, 1]."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    scores = random.normal(size=500) + labels
    for moved in (scores * 1e6, scores * 1e-6, scores + 1e6, np.argsort(np.argsort(scores)) + 10**6):
        assert metric(labels, moved) == metric(labels, scores)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("label", [0, 1])
def test_a_metric_of_one_class_is_undefined(metric: Callable[..., float | None], label: int) -> None:
    assert metric(np.full(5, label), np.arange(5.0)) is None
    assert metric(np.array([], dtype=np.int64), np.array([])) is None


def test_perfect_and_reversed_scores() -> None:
    labels, scores = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    assert [metric(labels, scores) for metric in METRICS] == [1.0, 1.0, 1.0, 1.0]
    assert auroc(labels, -scores) == 0.0
    assert f1_max(labels, -scores) == pytest.approx(2 / 5)  # calling everything anomalous: 1 of 4 right, all found
    assert f1_max_inlier(labels, -scores) == pytest.approx(6 / 7)  # calling everything normal


@settings(max_examples=50, deadline=None)
@given(labelled_scores())
def test_decisions_are_counted_as_scikit_learn_counts_them(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    decisions = scores > np.median(scores)
    found = at_threshold(labels, decisions)
    assert found["f1"] == pytest.approx(f1_score(labels, decisions, zero_division=0))
    assert found["recall"] == pytest.approx(recall_score(labels, decisions))
    assert found["accuracy"] == pytest.approx(np.mean(labels == decisions))
    if decisions.any():
        assert found["precision"] == pytest.approx(precision_score(labels, decisions))
    else:
        assert found["precision"] is None


def test_decisions_without_a_denominator_are_undefined() -> None:
    nothing = np.zeros(3, dtype=bool)
    assert at_threshold(np.zeros(3, int), nothing) == {"f1": None, "precision": None, "recall": None, "accuracy": 1.0}
    assert at_threshold(np.ones(3, int), nothing) == {"f1": 0.0, "precision": None, "recall": 0.0, "accuracy": 0.0}
    assert set(at_threshold(np.zeros(0, int), np.zeros(0, bool)).values()) == {None}
