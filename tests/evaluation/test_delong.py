"""DeLong's test against its definition over all pairs of images, and over seeds against what must come out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from semigan_pl.evaluation.delong import Ranked, paired_delong, ranked

LABELS = np.array([0] * 30 + [1] * 45)
INDICES = np.arange(100, 175)


def scores(seed: int) -> np.ndarray:
    """Coarse, so that there are ties."""
    return np.random.default_rng(seed).normal(LABELS, 1.0).round(1)


def made(seed: int, indices: np.ndarray = INDICES) -> Ranked:
    found = ranked(indices, LABELS, scores(seed))
    assert found is not None
    return found


def components(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V10 of anomalies and V01 of normal images, by the paper's formula."""
    anomalous, normal = values[LABELS == 1][:, None], values[LABELS == 0][None]
    kernel = (anomalous > normal) + 0.5 * (anomalous == normal)
    return kernel.mean(axis=1), kernel.mean(axis=0)


def test_auroc_and_variance_are_the_papers() -> None:
    one, (v10, v01) = made(0), components(scores(0))
    assert one.auroc == pytest.approx(roc_auc_score(LABELS, scores(0)))
    variance = np.var(v10, ddof=1) / len(v10) + np.var(v01, ddof=1) / len(v01)
    assert np.sum(one.influence**2) == pytest.approx(variance)


def test_paired_test_is_the_papers() -> None:
    (a10, a01), (b10, b01) = components(scores(0)), components(scores(1))
    variance = np.cov([a10, b10]) / len(a10) + np.cov([a01, b01]) / len(a01)
    error = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    difference = a10.mean() - b10.mean()
    found = paired_delong([made(0)], [made(1)], 0.95)
    assert found is not None
    assert found.p == pytest.approx(2 * norm.sf(abs(difference) / error))
    assert (found.low, found.high) == pytest.approx(norm.interval(0.95, difference, error))
    assert found.n == len(LABELS)


def test_order_of_the_images_does_not_matter() -> None:
    shuffled = np.random.default_rng(2).permutation(len(LABELS))
    other = ranked(INDICES[shuffled], LABELS[shuffled], scores(0)[shuffled])
    assert other is not None
    np.testing.assert_allclose(other.influence, made(0).influence)
    assert other.same_images(made(1))


def test_seeds_on_the_same_images_add_nothing_and_on_others_do() -> None:
    one = paired_delong([made(0)], [made(1)], 0.95)
    twice = paired_delong([made(0)] * 2, [made(1)] * 2, 0.95)
    elsewhere = INDICES + 1000
    apart = paired_delong([made(0), made(0, elsewhere)], [made(1), made(1, elsewhere)], 0.95)
    assert one is not None
    assert twice == pytest.approx(one)
    assert apart is not None
    assert apart.n == 2 * one.n
    assert apart.high - apart.mean == pytest.approx((one.high - one.mean) / np.sqrt(2))  # type: ignore[operator]


def test_what_cannot_be_tested() -> None:
    assert paired_delong([made(0)], [made(1, INDICES + 1)], 0.95) is None
    assert paired_delong([], [], 0.95) is None
    assert ranked(INDICES[:31], LABELS[:31], scores(0)[:31]) is None  # one anomaly has no variance
    same = paired_delong([made(0)], [made(0)], 0.95)
    assert same == (0.0, None, None, 1.0, len(LABELS))
    right, wrong = (ranked(INDICES, LABELS, sign * LABELS) for sign in (1.0, -1.0))
    assert right is not None
    assert wrong is not None
    assert paired_delong([right], [wrong], 0.95) == (1.0, None, None, None, len(LABELS))
