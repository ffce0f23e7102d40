"""Known anomalies of outlying classes: those that are never tested and never hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semigan_pl.data.protocol import Protocol, assign_roles
from semigan_pl.data.splits import Splits, draw_splits
from tests.data.protocols import make_protocol

# Classes 0 to 3 are ordinary with 60 images each, 4 is the clutter with 100.
CLASSES = np.repeat(np.arange(5), [60, 60, 60, 60, 100])
NAMES = ["ape", "bus", "cat", "dog", "clutter"]
UNDIVIDED = np.full(len(CLASSES), "")
BASE = make_protocol(normal_classes=["cat"], known_classes="outlying", known_anomalies=None)


def draw(protocol: Protocol, parts: np.ndarray = UNDIVIDED) -> Splits:
    return draw_splits(CLASSES, parts, protocol, NAMES, outlier_classes=[4])


def per_class(*positions: np.ndarray) -> list[int]:
    return np.bincount(CLASSES[np.concatenate(positions)], minlength=5).tolist()


def test_outlying_classes_are_known_and_nothing_else() -> None:
    splits = draw(replace(BASE, contamination=0.1))
    assert per_class(splits.train, splits.val) == [0, 0, 48, 0, 5]
    assert per_class(splits.train_known, splits.val_known) == [60, 60, 0, 60, 0]  # null: all there are
    assert len(splits.val_known) == 18
    assert per_class(splits.test) == [0, 0, 12, 0, 50]


def test_roles() -> None:
    roles = assign_roles(CLASSES, BASE, NAMES, [4])
    assert (roles.normal, roles.tested, roles.outlying, roles.anomalous) == ([2], [4], [0, 1, 3], [4, 0, 1, 3])
    listed = assign_roles(CLASSES, replace(BASE, known_classes=["clutter", 1]), NAMES, [4])
    assert (listed.tested, listed.known, listed.outlying) == ([4], [1, 4], [1])
    without = assign_roles(CLASSES, replace(BASE, known_classes=[1]), NAMES)
    assert (without.tested, without.known, without.outlying) == ([0, 1, 3, 4], [1], [])


def test_lists_may_mix_clutter_and_categories() -> None:
    protocol = replace(BASE, known_classes=["clutter", "dog"], contamination=0.1)
    splits = draw(protocol)
    assert per_class(splits.train_known, splits.val_known) == [0, 0, 0, 60, 45]
    assert per_class(splits.train, splits.val) == [0, 0, 48, 0, 5]
    few = draw(replace(protocol, known_anomalies=40))
    counts = per_class(few.train_known, few.val_known)
    assert sum(counts) == 40
    assert min(counts[3], counts[4]) >= 10  # drawn from both


def test_max_per_class_cuts_outlying_classes_and_spares_the_clutter() -> None:
    splits = draw(replace(BASE, max_per_class=20))
    assert per_class(*splits) == [20, 20, 20, 20, 50]
    assert (np.concatenate([splits.train_known, splits.val_known]) % 60).max() == 19


@settings(max_examples=60, deadline=None)
@given(
    known=st.sampled_from([0, 1, 30, 100, 0.2, None]),
    known_classes=st.sampled_from([["ape"], ["bus", "clutter"], "outlying"]),
    contamination=st.sampled_from([0.0, 0.1]),
    fold=st.none() | st.integers(0, 4),
    outlier_share=st.sampled_from([None, 0.5]),
    seed=st.integers(0, 9),
)
def test_neither_test_nor_pool_depend_on_what_is_known(
    known: float | None,
    known_classes: list[str] | str,
    contamination: float,
    fold: int | None,
    outlier_share: float | None,
    seed: int,
) -> None:
    if known == 100 and known_classes == ["ape"]:
        known = 50
    plain = replace(BASE, known_classes=None, known_anomalies=0, fold=fold, outlier_share=outlier_share, seed=seed)
    contaminated = replace(plain, contamination=contamination)
    splits = draw(replace(contaminated, known_classes=known_classes, known_anomalies=known))
    np.testing.assert_array_equal(splits.test, draw(plain).test)
    for pool in ("train", "val"):
        np.testing.assert_array_equal(getattr(splits, pool), getattr(draw(contaminated), pool))
    joined = np.concatenate(splits)
    assert len(np.unique(joined)) == len(joined)
    assert set(CLASSES[np.concatenate([splits.train, splits.val, splits.test])]) <= {2, 4}
    assert set(CLASSES[np.concatenate([splits.train_known, splits.val_known])]) <= {0, 1, 3, 4}


def test_one_more_known_anomaly_leaves_the_others_where_they_are() -> None:
    few, more = (draw(replace(BASE, known_anomalies=count)) for count in (20, 60))
    known = [set(np.concatenate([splits.train_known, splits.val_known]).tolist()) for splits in (few, more)]
    assert known[0] < known[1]
    other = draw(replace(BASE, known_anomalies=20, seed=1))
    assert set(other.train_known.tolist()) != set(few.train_known.tolist())


def test_parts_of_the_data_set_are_kept() -> None:
    parts = np.array(["train", "train", "val", "test"] * 85)
    splits = draw(replace(BASE, contamination=0.1), parts)
    for positions, part in zip(splits, ("train", "train", "val", "val", "test"), strict=True):
        assert set(parts[positions]) == {part}
    assert per_class(splits.train_known) == [30, 30, 0, 30, 0]
    assert per_class(splits.val_known) == [15, 15, 0, 15, 0]
    counted = draw(replace(BASE, known_anomalies=20), parts)
    assert (len(counted.train_known), len(counted.val_known)) == (18, 2)


def test_errors() -> None:
    with pytest.raises(
        ValueError, match=r"names 'cat', which is not anomalous.*0 \(ape\), 1 \(bus\), 3 .*4 \(clutter\)"
    ):
        draw(replace(BASE, known_classes=["cat"]))
    with pytest.raises(ValueError, match=r"data\.known_classes=outlying .*there are none here"):
        draw(replace(BASE, normal_classes=NAMES[:4]))
    with pytest.raises(ValueError, match=r"needs 181 known anomalies, but the known classes have 180 "):
        draw(replace(BASE, known_anomalies=181))
