"""Pixel metrics from counts: the same as from all pixels at once, whatever the batches, and how far off at most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from semigan_pl.evaluation.pixels import PixelCounts


def counted(values: NDArray[np.float32], defective: NDArray[np.bool_], limit: int = 1 << 21) -> PixelCounts:
    counts = PixelCounts(limit)
    counts.add(values, defective)
    return counts


def pixels(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values of both signs over many orders of magnitude, a tenth of them defective and a little higher."""
    random = np.random.default_rng(seed)
    defective = random.random(n) < 0.1
    values = random.normal(0.3 * defective) * 10 ** random.uniform(-6, 6, n)
    return values.astype(np.float32), defective


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(floats | st.sampled_from([0.0, -0.0, 1.0, -1.0]), st.booleans()), min_size=2, max_size=30))
def test_few_pixels_agree_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    values, defective = np.array([v for v, _ in rows], dtype=np.float32), np.array([d for _, d in rows])
    counts = counted(values, defective)
    assert counts.n_pixels == len(rows)
    assert counts.prevalence == pytest.approx(defective.mean())
    assert counts.quantile(0.5) == np.quantile(values, 0.5, method="inverted_cdf")
    if defective.all() or not defective.any():
        assert (counts.auroc(), counts.average_precision()) == (None, None)
    else:
        assert counts.auroc() == pytest.approx(roc_auc_score(defective, values), abs=1e-12)
        assert counts.average_precision() == pytest.approx(average_precision_score(defective, values), abs=1e-12)


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_many_pixels_agree_with_scikit_learn(digits: int) -> None:
    values, defective = pixels(50_000)
    values = np.round(np.sign(values) * np.log1p(np.abs(values)), digits)  # the fewer digits, the more ties
    counts = counted(values.reshape(50, 1, 40, 25), defective.reshape(50, 1, 40, 25))
    assert (counts.dropped_bits, counts.auroc_error) == (0, 0.0)
    assert counts.auroc() == pytest.approx(roc_auc_score(defective, values), abs=1e-12)
    assert counts.average_precision() == pytest.approx(average_precision_score(defective, values), abs=1e-12)
    for share in (0.0, 0.001, 0.5, 0.995, 1.0):
        assert counts.quantile(share) == np.quantile(values, share, method="inverted_cdf")


@pytest.mark.parametrize("limit", [1024, 4096, 20_000])
def test_coarse_counts_stay_within_their_bound(limit: int) -> None:
    values, defective = pixels(50_000)
    counts = counted(values, defective, limit)
    assert counts.dropped_bits > 0
    assert counts.n_pixels == 50_000
    error = abs((counts.auroc() or 0) - roc_auc_score(defective, values))
    assert 0 < error <= counts.auroc_error < 0.05
    assert counts.average_precision() == pytest.approx(average_precision_score(defective, values), abs=0.02)
    exact = float(np.quantile(values, 0.995, method="inverted_cdf"))
    assert exact * (1 - 2.0 ** (counts.dropped_bits - 23)) <= (counts.quantile(0.995) or 0) <= exact


def test_the_bound_is_reached() -> None:
    """Every defective pixel a hair above a normal one: all pairs within a tie are wins, and half of them are lost."""
    normal = (1 + np.arange(4000) % 2000 / 4000).astype(np.float32)
    values = np.concatenate([normal, np.nextafter(normal, np.float32(2))])
    counts = counted(values, np.arange(8000) >= 4000, limit=1024)
    exact = roc_auc_score(np.arange(8000) >= 4000, values)
    assert counts.dropped_bits > 10
    assert exact - (counts.auroc() or 0) <= counts.auroc_error
    alone = counted(np.array([1.0, np.nextafter(np.float32(1), np.float32(2))], np.float32), np.array([False, True]))
    alone._drop_to(1)
    assert (alone.auroc(), alone.auroc_error) == (0.5, 0.5)


@pytest.mark.parametrize("limit", [1024, 1 << 21])
@pytest.mark.parametrize("size", [37, 1000, 9999])
def test_batches_and_processes_do_not_matter(limit: int, size: int) -> None:
    """Not even to how many bits are dropped: what one batch would not need, the whole does."""
    values, defective = pixels(10_000)
    whole = counted(values, defective, limit)
    processes = [PixelCounts(limit), PixelCounts(limit)]
    for number, first in enumerate(range(0, len(values), size)):
        rows = slice(first, first + size)
        processes[number % 2].add(values[rows], defective[rows])
    processes[0].merge(processes[1])
    results = [(c.auroc(), c.average_precision(), c.prevalence, c.quantile(0.9)) for c in (whole, processes[0])]
    assert results[0] == results[1]
    assert whole.dropped_bits == processes[0].dropped_bits


def test_memory_is_bounded() -> None:
    counts = PixelCounts(limit=1024)
    for seed in range(20):
        counts.add(*pixels(5000, seed))
    counts.auroc()
    assert len(counts._codes) <= 1024
    assert counts.n_pixels == 100_000


def test_one_label_for_all() -> None:
    values, _ = pixels(1000)
    counts = PixelCounts()
    counts.add(values, False)
    assert counts.prevalence == 0.0
    assert counts.quantile(0.995) == np.quantile(values, 0.995, method="inverted_cdf")


def test_nothing_counted_is_nothing_known() -> None:
    counts = PixelCounts()
    counts.merge(PixelCounts())
    assert (counts.auroc(), counts.average_precision(), counts.prevalence, counts.quantile(0.5)) == (None,) * 4
    assert (counts.n_pixels, counts.auroc_error) == (0, 0.0)


def test_what_cannot_be_counted_is_refused() -> None:
    values = np.zeros((2, 1, 4, 4), dtype=np.float32)
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4, 4\) does not fit a mask of shape \(2, 4, 4\)"):
        PixelCounts().add(values, np.zeros((2, 4, 4), dtype=bool))
    values[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        PixelCounts().add(values, False)
    with pytest.raises(ValueError, match="limit=8"):
        PixelCounts(limit=8)
