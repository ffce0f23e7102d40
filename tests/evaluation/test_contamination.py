"""The contamination of a pool, estimated from scores: closed forms, known contaminations, invariances, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom, norm

from semigan_pl.evaluation.contamination import (
    Contamination,
    Share,
    at_least,
    estimate_contamination,
    lower_bound,
    mean_share,
    upper_bound,
)

LEVEL = 0.98


def drawn(seed: int, contamination: float, area: float, n_pool: int, n_known: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a pool and of known anomalies: normal distributions apart by what gives this AUROC."""
    chance, apart = np.random.default_rng(seed), float(norm.ppf(area)) * np.sqrt(2)
    hidden = chance.binomial(n_pool, contamination)
    pool = np.concatenate([chance.normal(size=n_pool - hidden), chance.normal(apart, 1, hidden)])
    return chance.permutation(pool), chance.normal(apart, 1, n_known)


def many(contamination: float, area: float, n_pool: int, n_known: int) -> list[Contamination]:
    samples = [drawn(seed, contamination, area, n_pool, n_known) for seed in range(100)]
    return [estimate_contamination(pool, known, LEVEL) for pool, known in samples]


@pytest.mark.parametrize("hidden", [0, 1, 13, 100])
def test_perfect_separation_gives_the_exact_share(hidden: int) -> None:
    pool = np.repeat([0.0, 1.0], [200 - hidden, hidden])
    found = estimate_contamination(pool, np.ones(40), LEVEL)
    assert found.share.value == hidden / 200
    assert found.threshold == 1
    assert found.auroc == pytest.approx(1 - hidden / 400)  # hidden anomalies tie with known ones
    assert (found.n_pool, found.n_known) == (200, 40)
    assert found.share.low == pytest.approx(beta.ppf(0.01, hidden, 201 - hidden) if hidden else 0)
    expected = beta.ppf(0.99, hidden + 1, 200 - hidden) / beta.ppf(0.01, 40, 1)
    assert found.share.high == pytest.approx(min(1, expected))


def test_the_threshold_has_the_smallest_upper_bound() -> None:
    pool, known = drawn(0, 0.1, 0.9, 300, 30)
    found = estimate_contamination(pool, known, 0.9)
    bounds = {}
    for cut in known:
        u, k = int(np.sum(pool >= cut)), int(np.sum(known >= cut))
        bounds[cut] = beta.ppf(0.95, u + 1, 300 - u) / beta.ppf(0.05, k, 31 - k)
    assert found.threshold == min(bounds, key=lambda cut: bounds[cut])
    assert found.share.high == pytest.approx(bounds[found.threshold])
    expected = np.mean(pool >= found.threshold) / np.mean(known >= found.threshold)
    assert found.share.value == pytest.approx(expected)
    assert 0 < found.share.low < found.share.value < found.share.high < 1


@pytest.mark.parametrize(("area", "n_pool", "n_known"), [(0.99, 650, 50), (0.97, 650, 10), (0.9, 5000, 500)])
@pytest.mark.parametrize("contamination", [0.0, 0.01, 0.05, 0.1, 0.2, 0.3])
def test_known_contaminations(contamination: float, area: float, n_pool: int, n_known: int) -> None:
    found = many(contamination, area, n_pool, n_known)
    # the deviation of the ratio, were all known anomalies above the threshold, and what normal images add to it
    counted = np.sqrt(contamination * (1 - contamination) / n_pool + contamination**2 / n_known)
    assert np.mean([each.share.value for each in found]) == pytest.approx(contamination, abs=counted + 0.015)
    assert np.mean([each.share.high < contamination for each in found]) <= 0.04  # 0.01, the smallest of many bounds
    assert all(each.share.low <= each.share.value <= each.share.high for each in found)
    if n_known >= 50 and contamination <= 0.2:
        assert all(each.share.is_informative for each in found)


@pytest.mark.parametrize("contamination", [0.0, 0.3])
def test_overlap_makes_it_too_large_and_never_its_bound_too_small(contamination: float) -> None:
    found = many(contamination, 0.7, 650, 50)
    assert np.mean([each.share.value for each in found]) > contamination + 0.1
    assert not any(each.share.high < contamination for each in found)


def test_scores_that_do_not_separate_say_nothing() -> None:
    for seed in range(20):
        found = estimate_contamination(*drawn(seed, 0.1, 0.5, 650, 50), LEVEL)
        assert not found.share.is_informative
        assert found.auroc == pytest.approx(0.5, abs=0.2)
    chance = np.random.default_rng(0)
    worse = estimate_contamination(chance.normal(3, 1, 650), chance.normal(size=50), LEVEL)
    assert worse.share == Share(1.0, worse.share.low, 1.0)


def test_unknown_kinds_are_not_counted() -> None:
    pool = np.repeat([0.0, 1.0, 2.0], [80, 15, 5])  # 15 that are anomalous, and score below every known anomaly
    assert estimate_contamination(pool, np.full(30, 2.0), LEVEL).share.value == 0.05


def test_only_the_order_of_scores_counts() -> None:
    pool, known = drawn(1, 0.1, 0.9, 400, 40)
    found = estimate_contamination(pool, known, LEVEL)
    cubed = estimate_contamination(pool**3 * 5 - 2, known**3 * 5 - 2, LEVEL)
    assert cubed._replace(threshold=0) == found._replace(threshold=0)
    assert cubed.threshold == pytest.approx(found.threshold**3 * 5 - 2)
    assert estimate_contamination(pool[::-1], known[::-1], LEVEL) == found


def test_more_confidence_is_a_wider_interval() -> None:
    pool, known = np.repeat([0.0, 1.0], [180, 20]), np.ones(30)
    narrow, wide = (estimate_contamination(pool, known, level).share for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value == wide.value < narrow.high < wide.high


@pytest.mark.parametrize(("n", "tail"), [(1, 0.01), (50, 0.01), (5000, 0.2)])
def test_bounds_are_exact(n: int, tail: float) -> None:
    k = np.unique(np.linspace(0, n, 7).astype(int))
    low, high = lower_bound(k, n, tail), upper_bound(k, n, tail)
    np.testing.assert_allclose(binom.sf(k[1:] - 1, n, low[1:]), tail, rtol=1e-6)  # k or more
    np.testing.assert_allclose(binom.cdf(k[:-1], n, high[:-1]), tail, rtol=1e-6)  # k or fewer
    assert (low[0], high[-1]) == (0, 1)


def test_counting() -> None:
    assert at_least(np.array([3.0, 1.0, 2.0, 2.0]), np.array([2.0, 4.0, 0.0])).tolist() == [3, 0, 4]


def test_the_mean_of_seeds_is_no_surer_than_they_are() -> None:
    mean = mean_share([Share(0.1, 0.05, 0.2), Share(0.3, 0.15, 0.6)])
    assert mean == pytest.approx(Share(0.2, 0.1, 0.4))
    assert mean.is_informative


@pytest.mark.parametrize(
    ("pool", "known", "level", "said"),
    [
        ([], [1.0], 0.9, "scores of unlabelled images are missing or not finite"),
        ([1.0], [], 0.9, "scores of known anomalies are missing or not finite"),
        ([1.0], [np.nan], 0.9, "scores of known anomalies are missing or not finite"),
        ([np.inf], [1.0], 0.9, "scores of unlabelled images are missing or not finite"),
        ([1.0], [1.0], 1.0, "level=1.0 must lie in"),
    ],
)
def test_errors(pool: list[float], known: list[float], level: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate_contamination(np.array(pool), np.array(known), level)
