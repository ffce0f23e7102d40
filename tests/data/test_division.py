"""Folds, merged parts and shares of the test: who is tested where the data set does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semigan_pl.data.splits import Splits, draw_splits
from tests.data.protocols import make_protocol

NOTHING: dict[str, Any] = {"normal_classes": [0], "known_anomalies": 0}


def draw(sizes: list[int], parts: np.ndarray | None = None, **knobs: Any) -> tuple[np.ndarray, Splits]:
    """Classes of so many images each, one after the other, and their splits; class 0 is normal."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    parts = np.full(len(classes), "") if parts is None else parts
    return classes, draw_splits(classes, parts, make_protocol(**NOTHING | knobs))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(12, 80), min_size=3, max_size=5),
    test_share=st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5]),
    contamination=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 9),
)
def test_folds_test_every_normal_image_once(
    sizes: list[int], test_share: float, contamination: float, seed: int
) -> None:
    knobs: dict[str, Any] = {
        "normal_classes": [0, 2],
        "test_share": test_share,
        "contamination": contamination,
        "seed": seed,
    }
    n_folds = round(1 / test_share)
    tested = []
    for fold in range(n_folds):
        classes, splits = draw(sizes, fold=fold, **knobs)
        counts = np.bincount(classes[splits.test], minlength=len(sizes))
        for label in (0, 2):
            assert abs(counts[label] - sizes[label] / n_folds) < 1
        assert counts[1] == (sizes[1] + 1) // 2
        tested += splits.test[np.isin(classes[splits.test], [0, 2])].tolist()
    assert sorted(tested) == np.flatnonzero(np.isin(classes, [0, 2])).tolist()


def test_a_fold_leaves_the_training_to_the_others() -> None:
    classes, splits = draw([100, 60], fold=3, contamination=0.1, known_anomalies=10)
    normals = [int((classes[positions] == 0).sum()) for positions in splits]
    assert normals == [72, 0, 8, 0, 20]
    joined = np.concatenate(splits)
    assert len(np.unique(joined)) == len(joined)


def test_few_outliers_are_others_in_every_fold() -> None:
    """Of 100 anomalies 50 are tested, of which 20 keep the test at one half: five folds use all of them."""
    drawn = [draw([100, 100], fold=fold, outlier_share=0.5) for fold in range(5)]
    tested = [position for classes, splits in drawn for position in splits.test[classes[splits.test] == 1]]
    assert sorted(tested) == list(range(100, 200))


def test_many_outliers_are_taken_from_another_place_on() -> None:
    tested = []
    for fold in range(5):
        classes, splits = draw([100, 100], fold=fold)
        tested.append(set(splits.test[classes[splits.test] == 1].tolist()))
    assert [len(tested[0] & other) for other in tested] == [50, 30, 10, 10, 30]  # turned by 20 of 100 each


def test_folds_of_a_divided_set_are_refused() -> None:
    parts = np.where(np.arange(90) % 3 > 0, "train", "test")
    with pytest.raises(ValueError, match=r"^data\.fold=1 cannot be drawn.*data\.merge_parts=true"):
        draw([50, 40], parts, fold=1)
    draw([50, 40], parts, fold=1, merge_parts=True)


@pytest.mark.parametrize("knobs", [{"fold": 4}, {"fold": 0, "test_share": 0.3}])
def test_folds_that_there_are_not(knobs: dict[str, float]) -> None:
    make_protocol(**knobs)
    with pytest.raises(ValueError, match=r"data\.fold=7: .* makes the folds 0 to (4|2), change one"):
        make_protocol(**knobs | {"fold": 7})


def test_merged_parts_are_forgotten() -> None:
    parts = np.array(["train", "val", "test"] * 30)
    for merged, plain in zip(draw([50, 40], parts, merge_parts=True)[1], draw([50, 40])[1], strict=True):
        np.testing.assert_array_equal(merged, plain)


@pytest.mark.parametrize(
    ("share", "tested"), [(0.5, [50, 21]), (0.9, [90, 37]), (0.1, [10, 5]), (0.3, [30, 13]), (1, [100, 41])]
)
def test_anomalies_have_a_share_of_their_own(share: float, tested: list[int]) -> None:
    classes, splits = draw([100, 100, 41], anomaly_test_share=share)
    assert np.bincount(classes[splits.test]).tolist() == [20, *tested]  # rounded up


def test_the_mnist_split_of_the_paper() -> None:
    """X = 80 % of the normal class and Y = 10 % of every other one train, the rest is tested, official parts merged."""
    parts = np.where(np.arange(300) % 7 > 0, "train", "test")
    shares: dict[str, Any] = {"merge_parts": True, "test_share": 0.2, "anomaly_test_share": 0.9}
    classes, splits = draw([100] * 3, parts, known_anomalies=None, **shares)
    assert np.bincount(classes[splits.test]).tolist() == [20, 90, 90]
    assert np.bincount(classes[np.concatenate(splits[:4])]).tolist() == [80, 10, 10]
    assert sorted(np.concatenate(splits)) == list(range(300))
