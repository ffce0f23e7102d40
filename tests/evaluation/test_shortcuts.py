"""Shortcuts: how well one number separates, and whether that could be chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from semigan_pl.evaluation.metrics import auroc
from semigan_pl.evaluation.shortcuts import Separation, chance_deviation, separation


def test_separation_is_the_auroc_of_the_second_group() -> None:
    low, high = np.array([0.0, 1.0, 2.0]), np.array([3.0, 4.0])
    assert separation(low, high) == Separation(1.0, 3, 2)
    assert separation(high, low) == Separation(0.0, 2, 3)
    assert separation(np.array([1.0, 2.0]), np.array([2.0])) == Separation(0.75, 2, 1)  # a tie counts half
    assert separation(low, np.array([])) is None
    assert separation(np.array([]), high) is None


def test_strength_does_not_ask_which_group_is_larger() -> None:
    assert [Separation(area, 9, 9).strength for area in (0.0, 0.25, 0.5, 0.75)] == [1.0, 0.75, 0.5, 0.75]


@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (3, 2), (2, 4)])
def test_chance_against_every_order_of_the_images(n_first: int, n_second: int) -> None:
    total = n_first + n_second
    areas = []
    for chosen in combinations(range(total), n_second):
        labels = np.isin(np.arange(total), chosen).astype(np.int64)
        areas.append(auroc(labels, np.arange(float(total))))
    assert chance_deviation(n_first, n_second) == pytest.approx(np.std(np.array(areas, dtype=np.float64)))


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_a_perfect_separation_of_few_images_may_be_chance(area: float) -> None:
    assert [Separation(area, n, n).is_shortcut for n in (1, 5, 11, 12, 50)] == [False, False, False, True, True]
    assert [Separation(area, 1000, n).is_shortcut for n in (1, 5, 6)] == [False, False, True]


def test_a_weak_separation_is_no_shortcut_however_certain() -> None:
    assert [Separation(area, 10_000, 10_000).is_shortcut for area in (0.05, 0.11, 0.9, 0.91)] == [
        True,
        False,
        False,
        True,
    ]
