"""Groups: never divided, shares near what the protocol asks for, and nothing new without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from semigan_pl.data.groups import divided_group, parts_of_groups
from semigan_pl.data.protocol import ClassRoles
from semigan_pl.data.splits import Splits, draw_splits
from tests.data.protocols import make_protocol

ROLES = ClassRoles(normal=[0], tested=[1, 2], known=[1, 2])


def assign(classes: Any, groups: Any, parts: Any = None, roles: ClassRoles = ROLES, **knobs: Any) -> list[str]:
    classes = np.asarray(classes)
    parts = np.full(len(classes), "") if parts is None else np.array(parts)
    protocol = make_protocol(normal_classes=roles.normal, **knobs)
    return parts_of_groups(classes, parts, np.array(groups), roles, protocol).tolist()


def draw(classes: Any, groups: Any, parts: Any = None, **knobs: Any) -> Splits:
    parts = np.full(len(classes), "") if parts is None else np.array(parts)
    protocol = make_protocol(**{"normal_classes": [0], "known_anomalies": None} | knobs)
    return draw_splits(np.asarray(classes), parts, protocol, groups=groups)


def blocks(*sizes_and_classes: tuple[int, int]) -> tuple[list[int], list[str]]:
    """Classes and groups of images that come group by group, each of one size and one class."""
    classes = [label for size, label in sizes_and_classes for _ in range(size)]
    groups = [f"g{number}" for number, (size, _) in enumerate(sizes_and_classes) for _ in range(size)]
    return classes, groups


@st.composite
def grouped_sets(drawing: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes (0 normal, 1 and 2 anomalous), parts that divide no group, and groups, some images without."""
    numbers = np.array(drawing(st.lists(st.integers(0, 25), min_size=40, max_size=120)))
    chance = np.random.default_rng(drawing(st.integers(0, 99)))
    classes = chance.choice(3, size=len(numbers), p=[0.6, 0.2, 0.2])
    groups = np.where(numbers == 0, "", numbers.astype(str))
    of_group = chance.choice(["", "train", "test"] if drawing(st.booleans()) else [""], size=26)
    silent = chance.random(len(numbers)) < 0.3  # the data set need not name the part of every image of a group
    return classes, np.where(silent, "", of_group[numbers]), groups


@settings(max_examples=60, deadline=None)
@given(images=grouped_sets(), seed=st.integers(0, 5), contamination=st.sampled_from([0.0, 0.1]))
def test_no_group_is_ever_divided(
    images: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int, contamination: float
) -> None:
    classes, parts, groups = images
    try:
        splits = draw(classes, groups, parts, seed=seed, contamination=contamination)
    except ValueError as error:
        assume("group" not in str(error) and "test set" not in str(error))
        raise
    sides = [np.concatenate(splits[:2]), np.concatenate(splits[2:4]), splits.test]
    names = [set(groups[side]) - {""} for side in sides]
    assert not (names[0] & names[1] | names[0] & names[2] | names[1] & names[2])
    joined = np.concatenate(splits)
    assert len(np.unique(joined)) == len(joined) == len(classes)  # known_anomalies=null leaves nothing out
    for positions, part in ((sides[2], "train"), (np.concatenate(sides[:2]), "test")):
        assert part not in parts[positions]
    pool = np.concatenate([splits.train, splits.val])
    assert (classes[pool] > 0).sum() == round(
        contamination / (1 - contamination) * (classes[splits.train] == 0).sum()
    ) + round(contamination / (1 - contamination) * (classes[splits.val] == 0).sum())
    for first, second in zip(
        splits, draw(classes, groups.tolist(), parts, seed=seed, contamination=contamination), strict=True
    ):
        np.testing.assert_array_equal(first, second)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=12, max_size=60),
    test_share=st.sampled_from([0.1, 0.2, 0.4]),
    seed=st.integers(0, 9),
)
@example(sizes=[1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 1], test_share=0.1, seed=0)
def test_shares_are_within_half_a_group(sizes: list[int], test_share: float, seed: int) -> None:
    """Groups of one class each, alternately normal and anomalous."""
    classes, groups = blocks(*((size, number % 2) for number, size in enumerate(sizes)))
    roles = ClassRoles([0], [1], [1])
    parts = np.array(assign(classes, groups, roles=roles, test_share=test_share, seed=seed))
    for label, share in ((0, test_share), (1, 0.5)):
        of_class = np.array(classes) == label
        tested = (parts == "test") & of_class
        one_group = len(set(np.array(groups)[tested])) == 1  # the least there must be
        assert one_group or abs(tested.sum() - share * of_class.sum()) <= max(sizes) / 2 + 1e-9
        training = of_class & (parts != "test")
        validating = (parts == "val") & of_class
        one_group = len(set(np.array(groups)[validating])) == 1
        assert validating.any() or len(set(np.array(groups)[training])) == 1  # an only group stays in training
        assert one_group or abs(validating.sum() - 0.1 * training.sum()) <= max(sizes) / 2 + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    images=grouped_sets(), n_folds=st.integers(2, 5), seed=st.integers(0, 5), contamination=st.sampled_from([0.0, 0.1])
)
def test_folds_test_every_normal_image_once(
    images: tuple[np.ndarray, np.ndarray, np.ndarray], n_folds: int, seed: int, contamination: float
) -> None:
    classes, parts, groups = images
    assume(len(set(groups[(classes == 0) & (groups != "")])) + ((classes == 0) & (groups == "")).sum() >= n_folds + 2)
    knobs = {"seed": seed, "contamination": contamination, "test_share": 1 / n_folds, "merge_parts": True}
    tested = []
    for fold in range(n_folds):
        try:
            splits = draw(classes, groups, parts, fold=fold, **knobs)
        except ValueError as error:
            assume("hidden anomalies" not in str(error) and "no anomalous image" not in str(error))
            raise
        sides = [set(groups[np.concatenate(side)]) - {""} for side in (splits[:2], splits[2:4], splits[4:])]
        assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
        tested += splits.test[classes[splits.test] == 0].tolist()
    assert sorted(tested) == np.flatnonzero(classes == 0).tolist()


def test_folds_of_groups_are_of_one_size() -> None:
    classes, groups = blocks(*[(2, 0)] * 10, *[(4, 0)] * 5, *[(1, 1)] * 30, *[(3, 2)] * 10)
    tested = [np.array(assign(classes, groups, fold=fold)) == "test" for fold in range(5)]
    counts = [[int(test[np.array(classes) == label].sum()) for label in (0, 1, 2)] for test in tested]
    assert counts == [[8, 15, 15]] * 5  # 40 normal images in five folds; half of 30 anomalies of either kind
    assert len({tuple(test[np.array(classes) == 1]) for test in tested}) == 5


def test_anomalies_are_tested_by_their_own_share() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, *[(1, 1)] * 20, *[(1, 2)] * 10)
    parts = np.array(assign(classes, groups, anomaly_test_share=0.9))
    assert [int((parts[np.array(classes) == label] == "test").sum()) for label in (0, 1, 2)] == [12, 18, 9]


def test_merged_parts_may_divide_a_group() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, *[(2, 1)] * 10)
    parts = np.where(np.arange(len(classes)) % 2, "train", "test")
    with pytest.raises(ValueError, match=r"group 'g0' lies in test and in train"):
        draw(classes, groups, parts)
    for merged, plain in zip(draw(classes, groups, parts, merge_parts=True), draw(classes, groups), strict=True):
        np.testing.assert_array_equal(merged, plain)


@pytest.mark.parametrize("contamination", [0.0, 0.1])
@pytest.mark.parametrize("divided", [True, False])
def test_without_groups_nothing_changes(contamination: float, divided: bool) -> None:
    classes = np.repeat(np.arange(4), 50)
    parts = np.where(np.arange(200) % 5 < 3, "train", "test") if divided else np.full(200, "")
    plain = draw(classes, None, parts, contamination=contamination)
    for first, second in zip(plain, draw(classes, [""] * 200, parts, contamination=contamination), strict=True):
        np.testing.assert_array_equal(first, second)
    assert len(draw(classes, ["a", *([""] * 199)], parts).test) == len(plain.test)


def test_images_without_a_group_stand_alone() -> None:
    classes, groups = [0] * 100 + [1] * 21, ["pair"] * 2 + [""] * 119
    parts = np.array(assign(classes, groups))
    # A fifth of 100 and, since the odd one is tested, 11 of 21; then a tenth of 80 and of 10.
    assert np.unique(parts[:100], return_counts=True)[1].tolist() == [20, 72, 8]
    assert np.unique(parts[100:], return_counts=True)[1].tolist() == [11, 9, 1]


def test_kinds_are_tested_by_halves_where_groups_allow() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, *[(3, 1)] * 8, *[(3, 2)] * 8)
    parts = np.array(assign(classes, groups))
    assert [int((parts[np.array(classes) == label] == "test").sum()) for label in (0, 1, 2)] == [12, 12, 12]
    classes, groups = blocks(*[(2, 0)] * 30, (6, 1), (6, 2))  # one group of each kind: one of the two kinds
    parts = np.array(assign(classes, groups))
    assert (parts[np.array(classes) > 0] == "test").sum() == 6


def test_a_group_inherits_its_part() -> None:
    classes, groups = blocks((3, 0), (3, 0), (3, 0), (3, 0), (2, 1), (2, 1), (2, 1))
    parts = ["", "test", ""] + ["train", "", ""] + ["", "", "val"] + [""] * 3 + [""] * 6
    drawn = assign(classes, groups, parts)
    assert drawn[:9] == ["test"] * 3 + ["train"] * 3 + ["val"] * 3
    assert "val" not in drawn[9:]  # the data set has its own validation images
    assert drawn[12:].count("test") == 4  # 2 of 6 are as near to 3 as 4 are, and ties are tested


def test_one_group_is_tested_even_if_all_are_large() -> None:
    classes, groups = blocks((5, 0), (50, 0), (50, 0), (9, 1))
    drawn = assign(classes, groups, ["val"] * 5 + [""] * 109)
    assert sorted([drawn[5], drawn[55]]) == ["test", "train"]  # though 50 is farther from 20 than 0 is
    assert drawn[105:] == ["test"] * 9  # the only group of anomalies


def test_seeds_draw_otherwise() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, *[(2, 1)] * 10)
    assert assign(classes, groups) == assign(classes, groups)
    assert len({tuple(assign(classes, groups, seed=seed)) for seed in range(5)}) == 5


def test_known_anomalies_come_from_where_there_are_some() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, *[(10, 1)] * 4)  # 20 anomalies are tested, 10 train, 10 validate
    counts = {
        n: [len(positions) for positions in draw(classes, groups, known_anomalies=n)[1:4:2]] for n in (10, 15, 20)
    }
    assert counts == {10: [9, 1], 15: [10, 5], 20: [10, 10]}
    with pytest.raises(ValueError, match=r"data\.known_anomalies=21 needs"):
        draw(classes, groups, known_anomalies=21)


def test_an_only_group_of_anomalies_does_not_validate() -> None:
    classes, groups = blocks(*[(2, 0)] * 30, (10, 1), (10, 1))
    splits = draw(classes, groups, contamination=0.1)
    assert (len(splits.train_known), len(splits.val_known)) == (5, 0)
    assert (np.asarray(classes)[splits.train] > 0).sum() == 5  # all that are hidden: 0.111 of 44 and of 4 normal ones
    assert (np.asarray(classes)[splits.val] > 0).sum() == 0


def test_max_per_class_counts_before_groups_are_divided() -> None:
    classes, groups = blocks(*[(2, 0)] * 50, *[(2, 1)] * 50)
    used = np.sort(np.concatenate(draw(classes, groups, max_per_class=40)))
    np.testing.assert_array_equal(used, [*range(40), *range(100, 140)])


def test_outlier_classes() -> None:
    classes, groups = blocks(*[(2, 0)] * 20, *[(2, 1)] * 20, *[(2, 2)] * 20)
    protocol = make_protocol(normal_classes=[0], known_anomalies=None)
    splits = draw_splits(np.array(classes), np.full(120, ""), protocol, outlier_classes=[2], groups=groups)
    assert np.bincount(np.array(classes)[splits.test]).tolist() == [8, 0, 20]


def test_outlying_images_follow_their_groups_and_are_never_tested() -> None:
    # Twenty groups hold normal and outlying images, twenty outliers that are tested, twenty outlying ones alone.
    classes = np.array([0, 0, 1] * 20 + [2, 2] * 20 + [1, 1] * 20)
    groups = [f"g{n // 3}" for n in range(60)] + [f"h{n // 2}" for n in range(40)] + [f"i{n // 2}" for n in range(40)]
    names = np.array(groups)

    def drawn(**knobs: Any) -> Splits:
        protocol = make_protocol(normal_classes=[0], known_anomalies=None, contamination=0.1, **knobs)
        return draw_splits(classes, np.full(len(classes), ""), protocol, outlier_classes=[2], groups=groups)

    splits = drawn(known_classes="outlying")
    np.testing.assert_array_equal(splits.test, drawn().test)
    assert set(classes[splits.test]) == {0, 2}
    assert set(classes[splits.train_known]) == set(classes[splits.val_known]) == {1}
    sides = [set(names[np.concatenate(side)]) for side in (splits[:2], splits[2:4], splits[4:])]
    assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    known = np.concatenate([splits.train_known, splits.val_known])
    assert sorted(known) == [n for n in np.flatnonzero(classes == 1) if groups[n] not in sides[2]]


def test_errors() -> None:
    classes, groups = blocks((4, 0), (4, 0), (4, 1))
    with pytest.raises(ValueError, match=r"group 'g1' lies in train and in test: .*all of its images in one part"):
        assign(classes, groups, ["", "", "", "", "train", "", "test", "", *[""] * 4])
    with pytest.raises(ValueError, match=r"no group of normal images is left for val: there are 2, .*smaller groups"):
        draw(classes, groups)
    with pytest.raises(ValueError, match=r"no image is left to calibrate on: raise data\.validation_share"):
        draw(classes, groups, validation_share=0)


@pytest.mark.parametrize(
    ("parts", "groups", "divided"),
    [
        (["train", "test", "train"], ["a", "b", "a"], None),
        (["train", "test", "val"], ["", "", "a"], None),
        (["train", "", "val"], ["a", "a", "a"], (0, 2)),
        (["", "train", "", "test"], ["a", "a", "b", "a"], (1, 3)),
    ],
)
def test_divided_group(parts: list[str], groups: list[str], divided: tuple[int, int] | None) -> None:
    assert divided_group(parts, groups) == divided
