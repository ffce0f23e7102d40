"""Intervals and paired tests against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semigan_pl.evaluation.intervals import holm, paired_t, t_interval

FIRST, SECOND = [0.91, 0.88, 0.95, 0.90], [0.85, 0.86, 0.90, 0.91]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_interval_is_students(level: float) -> None:
    found = t_interval(FIRST, level)
    ends = stats.t.interval(level, len(FIRST) - 1, np.mean(FIRST), stats.sem(FIRST))
    assert found[:2] == pytest.approx((np.mean(FIRST), np.std(FIRST, ddof=1)))
    assert (found.low, found.high) == pytest.approx(ends)
    assert found.n == 4


def test_one_value_has_no_interval() -> None:
    assert t_interval([0.5], 0.95) == (0.5, None, None, None, 1)


def test_paired_test_is_scipys() -> None:
    found, reference = paired_t(FIRST, SECOND, 0.95), stats.ttest_rel(FIRST, SECOND)
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(reference.confidence_interval(0.95))
    assert paired_t(SECOND, FIRST, 0.95).mean == pytest.approx(-found.mean)


def test_differences_without_spread_say_nothing_of_seeds() -> None:
    assert paired_t([0.75, 0.5], [0.5, 0.25], 0.95) == (0.25, None, None, None, 2)
    assert paired_t([0.9, 0.8], [0.8, 0.7], 0.95)[1:4] == (None, None, None)  # equal but for rounding
    assert paired_t([0.5, 0.25], [0.5, 0.25], 0.95) == (0.0, None, None, 1.0, 2)
    assert paired_t([0.5], [0.25], 0.95) == (0.25, None, None, None, 1)


def test_values_without_a_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_t([0.5, 0.6], [0.5], 0.95)


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.03: times 3, 2, 1, and none below the one before it
    assert holm([0.03, None, 0.01, 0.02]) == pytest.approx([0.04, None, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
