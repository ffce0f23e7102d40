"""What all baselines have in common: points of unit length, states, and scores that know nothing of other points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from semigan_pl.baselines.base import Baseline, unit_length
from semigan_pl.baselines.cop import CoP
from semigan_pl.baselines.dpcp import DPCP
from semigan_pl.baselines.lrr import LRR
from semigan_pl.baselines.outlier_pursuit import OutlierPursuit
from semigan_pl.baselines.reaper import REAPER
from tests.baselines.synthetic import case

METHODS: dict[str, Callable[[], Baseline]] = {
    "cop": lambda: CoP(power=2),
    "cop_1": lambda: CoP(power=1),
    "reaper": lambda: REAPER(dimension=None, tolerance=1e-8, iterations=200),
    "dpcp": lambda: DPCP(dimension=None, solver="irls", tolerance=1e-6, iterations=100),
    "lrr": lambda: LRR(lambda_=0.1, rho=1.1, tolerance=1e-8, iterations=1000),
    "outlier_pursuit": lambda: OutlierPursuit(lambda_=0.3, rho=1.1, tolerance=1e-8, iterations=1000),
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Callable[[], Baseline]:
    return METHODS[request.param]


@pytest.fixture
def silent() -> Iterator[None]:
    """For points with nothing to tell apart: what is warned of there has tests of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def some_points(n: int, dimension: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    inliers = generator.standard_normal((n - n // 3, 4)) @ generator.standard_normal((4, dimension))
    return np.concatenate([inliers, 2 * generator.standard_normal((n // 3, dimension))])


def test_unit_length_leaves_zeros() -> None:
    points = unit_length(np.array([[3, 4], [0, 0], [-2, 0]], dtype=np.int32))
    assert points.tolist() == [[0.6, 0.8], [0, 0], [-1, 0]]
    assert points.dtype == np.float64


def test_lengths_do_not_matter(method: Callable[[], Baseline]) -> None:
    points = some_points(60, 16)
    lengths = np.random.default_rng(1).uniform(0.1, 10, (60, 1))
    np.testing.assert_allclose(method().fit(lengths * points).own_scores, method().fit(points).own_scores, atol=1e-6)


def test_rotations_do_not_matter(method: Callable[[], Baseline]) -> None:
    points, new = some_points(60, 16), some_points(20, 16, seed=1)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((16, 16)))[0]
    here, there = method().fit(points), method().fit(points @ rotation)
    np.testing.assert_allclose(there.own_scores, here.own_scores, atol=1e-6)
    np.testing.assert_allclose(there.anomaly_score(new @ rotation), here.anomaly_score(new), atol=1e-6)


def test_more_dimensions_do_not_matter(method: Callable[[], Baseline]) -> None:
    points, new = some_points(60, 16), some_points(20, 16, seed=1)
    embedding = np.linalg.qr(np.random.default_rng(2).standard_normal((100, 16)))[0].T
    here, there = method().fit(points), method().fit(points @ embedding)
    np.testing.assert_allclose(there.own_scores, here.own_scores, atol=1e-6)
    np.testing.assert_allclose(there.anomaly_score(new @ embedding), here.anomaly_score(new), atol=1e-6)


def test_what_lies_outside_of_all_fitted_points_is_as_anomalous_as_can_be(method: Callable[[], Baseline]) -> None:
    points = np.pad(some_points(60, 16), ((0, 0), (0, 4)))
    fitted = method().fit(points)
    outside = fitted.anomaly_score(np.eye(20)[16:])
    expected = 0.0 if isinstance(fitted, CoP) else 1.0
    np.testing.assert_allclose(outside, expected, atol=1e-12)
    assert (fitted.own_scores <= expected + 1e-9).all()


def test_new_points_are_told_apart_as_the_fitted_ones(method: Callable[[], Baseline]) -> None:
    points, labels = case("A", seed=0)
    fitted = method().fit(points[::2])
    for scores, kinds in ((fitted.own_scores, labels[::2]), (fitted.anomaly_score(points[1::2]), labels[1::2])):
        assert scores.shape == kinds.shape
        assert scores[kinds == 1].min() > scores[kinds == 0].max()


def test_a_score_is_the_same_to_the_bit_whatever_else_its_block_holds(method: Callable[[], Baseline]) -> None:
    fitted = method().fit(some_points(100, 40))
    block = some_points(64, 40, seed=1)
    scores = fitted.anomaly_score(block)
    for seed in range(2, 5):
        others = some_points(64, 40, seed) * seed
        others[::3] = block[::3]
        others[1] = 0
        assert (fitted.anomaly_score(others)[::3] == scores[::3]).all()


def test_states_bring_scores_back(method: Callable[[], Baseline]) -> None:
    fitted, other = method().fit(some_points(60, 16)), method()
    assert other.state() == {}
    with pytest.raises(RuntimeError, match="has not been fitted yet"):
        other.anomaly_score(some_points(5, 16))
    other.load_state(fitted.state())
    new = some_points(20, 16, seed=1)
    assert (other.anomaly_score(new) == fitted.anomaly_score(new)).all()


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "points",
    [
        np.repeat(some_points(9, 12), 5, axis=0),  # duplicates
        np.concatenate([some_points(30, 12), np.zeros((3, 12))]),
        some_points(9, 40),  # fewer points than dimensions
        some_points(3, 12)[:2],
        np.ones((20, 12)),
        np.pad(some_points(30, 8), ((0, 0), (2, 2))),  # features that are 0 everywhere
        np.eye(6),
    ],
    ids=["duplicates", "zero points", "few points", "two points", "one point", "zero features", "orthogonal"],
)
def test_degenerate_points_have_finite_scores(method: Callable[[], Baseline], points: np.ndarray) -> None:
    fitted = method().fit(points)
    assert fitted.own_scores.shape == (len(points),)
    assert np.isfinite(fitted.own_scores).all()
    new = fitted.anomaly_score(np.concatenate([points[:3], np.zeros((2, points.shape[1]))]))
    assert np.isfinite(new).all()
    np.testing.assert_allclose(new[3:], 0, atol=1e-12)


def test_duplicates_have_equal_scores(method: Callable[[], Baseline]) -> None:
    scores = method().fit(np.concatenate([some_points(40, 16)] * 2)).own_scores
    np.testing.assert_allclose(scores[:40], scores[40:], atol=1e-9)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (np.ones((1, 4)), "two points or more and got 1"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((3, 0)), r"shape \(3, 0\)"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "no numbers"),
    ],
)
def test_what_no_points_are(method: Callable[[], Baseline], points: np.ndarray, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        method().fit(points)
