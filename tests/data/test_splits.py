"""Values, properties and errors of the protocol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semigan_pl.data.protocol import Protocol, assign_roles
from semigan_pl.data.splits import Splits, apportion, draw_splits
from tests.data.protocols import make_protocol

# Ten classes of 100 images, class by class: class of position p is p // 100.
CLASSES = np.repeat(np.arange(10), 100)
NO_PARTS = np.full(1000, "")
PARTS = np.where(np.arange(1000) % 100 < 70, "train", "test")  # 70 and 30 of each class
BASE = make_protocol(normal_classes=[8], contamination=0.1, known_anomalies=50)


def draw(protocol: Protocol, parts: np.ndarray = NO_PARTS, **arguments: object) -> Splits:
    return draw_splits(CLASSES, parts, protocol, **arguments)  # type: ignore[arg-type]


def per_class(positions: np.ndarray) -> list[int]:
    return np.bincount(CLASSES[positions], minlength=10).tolist()


@st.composite
def protocols(drawing: st.DrawFn) -> Protocol:
    merged = drawing(st.booleans())
    normal = drawing(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    others = [label for label in range(10) if label not in normal]
    return make_protocol(
        normal_classes=normal,
        contamination=drawing(st.sampled_from([0.0, 0.05, 0.1, 0.3])),
        known_anomalies=drawing(st.sampled_from([0, 1, 2, 7, 20, 0.01, 0.05])),
        known_classes=drawing(st.none() | st.just(others[:2])),
        outlier_share=drawing(st.none() | st.sampled_from([0.1, 0.5, 0.9])),
        test_limit=drawing(st.none() | st.integers(40, 400)),
        merge_parts=merged,
        anomaly_test_share=drawing(st.sampled_from([0.2, 0.5])),
        fold=drawing(st.none() | st.integers(0, 4)) if merged else None,
        validation_share=drawing(st.sampled_from([0.05, 0.1, 0.5])),
        max_per_class=drawing(st.none() | st.integers(60, 120)),
        seed=drawing(st.integers(0, 5)),
    )


@settings(max_examples=80, deadline=None)
@given(protocol=protocols(), divided=st.booleans())
def test_random_protocols(protocol: Protocol, divided: bool) -> None:
    parts = PARTS if divided else NO_PARTS
    before = str(np.random.get_state())  # noqa: NPY002 (the global generator is what must not move)
    splits = draw(protocol, parts)
    assert str(np.random.get_state()) == before  # noqa: NPY002

    joined = np.concatenate(splits)
    assert len(np.unique(joined)) == len(joined)  # pairwise disjoint
    for first, second in zip(splits, draw(protocol, parts), strict=True):
        np.testing.assert_array_equal(first, second)
    if divided and not protocol.merge_parts:
        assert set(parts[splits.test]) == {"test"}
        assert set(parts[np.concatenate(splits[:4])]) == {"train"}

    anomalous = ~np.isin(CLASSES, assign_roles(CLASSES, protocol, [str(label) for label in range(10)]).normal)
    pool = np.concatenate([splits.train, splits.val])
    n_normals, n_hidden = int((~anomalous[pool]).sum()), int(anomalous[pool].sum())
    assert n_hidden == round(protocol.contamination / (1 - protocol.contamination) * n_normals)
    assert anomalous[splits.val].sum() == round(protocol.validation_share * n_hidden)
    known = np.concatenate([splits.train_known, splits.val_known])
    assert anomalous[known].all()
    assert len(known) == protocol.known_budget(len(pool))
    if protocol.known_classes is not None:
        assert set(CLASSES[known]) <= {int(label) for label in protocol.known_classes}
    if protocol.test_limit is not None:
        assert len(splits.test) <= protocol.test_limit
    if protocol.outlier_share is not None:
        share = protocol.outlier_share
        wanted = share * len(splits.test)
        assert abs(anomalous[splits.test].sum() - wanted) <= 1

    other = replace(protocol, contamination=0.2, known_anomalies=3, known_classes=None)
    np.testing.assert_array_equal(draw(other, parts).test, splits.test)


def test_shares_of_an_undivided_set() -> None:
    splits = draw(BASE)
    # Of class 8, 20 are tested and 8 of the other 80 validate; of every other class half is tested.
    assert per_class(splits.test) == [50] * 8 + [20, 50]
    assert per_class(splits.train)[8] == 72
    assert per_class(splits.val)[8] == 8
    # 80 / 9 = 8.9 hidden anomalies make the pool of 89 one tenth anomalous; validation has one of the nine.
    assert (len(splits.train), len(splits.val)) == (72 + 8, 8 + 1)
    assert (len(splits.train_known), len(splits.val_known)) == (45, 5)


def test_divided_set_keeps_its_test_part() -> None:
    assert per_class(draw(BASE, PARTS).test) == [30] * 10
    assert per_class(draw(BASE, PARTS).train)[8] == 63


def test_other_seed_draws_otherwise() -> None:
    assert not np.array_equal(draw(BASE).train, draw(replace(BASE, seed=1)).train)
    drawn = {
        tuple(assign_roles(CLASSES, make_protocol(n_normal=3, seed=seed), list("0123456789")).normal)
        for seed in range(9)
    }
    assert len(drawn) > 5
    assert all(len(labels) == 3 for labels in drawn)


def test_more_known_anomalies_keep_the_others_where_they_are() -> None:
    few, many = draw(replace(BASE, known_anomalies=20)), draw(replace(BASE, known_anomalies=200))
    np.testing.assert_array_equal(few.train, many.train)
    np.testing.assert_array_equal(few.val, many.val)
    assert set(np.concatenate([few.train_known, few.val_known])) < set(
        np.concatenate([many.train_known, many.val_known])
    )


def test_known_classes_and_shares_of_the_pool() -> None:
    splits = draw(replace(BASE, known_classes=["1"], known_anomalies=0.1))  # 8.9 of a pool of 89
    assert per_class(np.concatenate([splits.train_known, splits.val_known])) == [0, 9, 0, 0, 0, 0, 0, 0, 0, 0]


def test_max_per_class_keeps_the_first() -> None:
    splits = draw(replace(BASE, max_per_class=40, known_anomalies=5))
    assert (np.concatenate(splits) % 100).max() == 39


@pytest.mark.parametrize(("share", "normals", "anomalies"), [(0.5, 20, 20), (0.1, 20, 2), (0.99, 5, 450)])
def test_outlier_share_drops_as_few_as_possible(share: float, normals: int, anomalies: int) -> None:
    counts = per_class(draw(replace(BASE, outlier_share=share)).test)
    assert (counts[8], sum(counts) - counts[8]) == (normals, anomalies)


def test_test_limit_is_stratified_and_nested() -> None:
    full, half = draw(BASE, PARTS).test, draw(replace(BASE, test_limit=150), PARTS).test
    assert per_class(half) == [15] * 10
    assert set(half) < set(full)
    assert set(draw(replace(BASE, test_limit=100), PARTS).test) < set(half)


@pytest.mark.parametrize(
    ("counts", "total", "quotas"), [([1, 1, 1], 2, [1, 1, 0]), ([50, 30, 20], 7, [4, 2, 1]), ([3, 0, 5], 8, [3, 0, 5])]
)
def test_apportion_by_largest_remainder(counts: list[int], total: int, quotas: list[int]) -> None:
    # 50, 30, 20 of 100 for 7 seats: 3.5, 2.1, 1.4, so the seat that is left goes to the first.
    assert apportion(np.array(counts), total).tolist() == quotas


def test_validation_part_of_the_data_set_validates() -> None:
    parts = np.where(np.arange(1000) % 100 < 20, "val", PARTS)  # of each class: 20 val, 50 train, 30 test
    splits = draw(BASE, parts)
    assert set(parts[splits.val]) == set(parts[splits.val_known]) == {"val"}
    assert set(parts[splits.train]) == set(parts[splits.train_known]) == {"train"}
    assert (per_class(splits.val)[8], len(splits.val)) == (20, 22)
    assert (per_class(splits.train)[8], len(splits.train)) == (50, 56)
    assert (len(splits.train_known), len(splits.val_known)) == (45, 5)

    only_normal = np.where((parts == "val") & (CLASSES != 8), "train", parts)
    splits = draw(BASE, only_normal)  # then anomalies of the training side validate
    assert (per_class(splits.val)[8], len(splits.val), len(splits.val_known)) == (20, 22, 5)


def test_outlier_class_is_the_only_anomaly_and_is_not_cut() -> None:
    protocol = make_protocol(normal_classes=[1], max_per_class=40, known_anomalies=5)
    splits = draw(protocol, outlier_classes=[9])
    counts = per_class(np.concatenate(splits))
    assert [label for label in range(10) if counts[label]] == [1, 9]
    assert per_class(splits.test) == [0, 8, 0, 0, 0, 0, 0, 0, 0, 50]
    with pytest.raises(ValueError, match=r"data\.normal_classes"):
        draw(replace(protocol, normal_classes=[9]), outlier_classes=[9])


def test_classes_by_name_before_label() -> None:
    names = ["cat", "dog", "0"]
    classes = np.array([0, 1, 2])
    assert assign_roles(classes, make_protocol(normal_classes=["dog"]), names).normal == [1]
    assert assign_roles(classes, make_protocol(normal_classes=[1]), names).normal == [1]
    assert assign_roles(classes, make_protocol(normal_classes=[0]), names).normal == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal_classes": ["11"]}, r"names '11'.*0 \(0\), 1 \(1\)"),
        ({"normal_classes": []}, r"data\.normal_classes=\[\] is empty"),
        ({"normal_classes": range(10), "known_anomalies": 0, "contamination": 0}, "no anomalous image"),
        (
            {"known_classes": "outlying"},
            r"data\.known_classes=outlying means .*there are none here.*null for all tested",
        ),
        ({"known_classes": [8]}, r"data\.known_classes names '8', which is not anomalous"),
        ({"known_anomalies": 442}, "needs 442 known anomalies.* have 441 "),
        ({"known_classes": [1], "known_anomalies": 51}, r"needs 51 known anomalies.* have \d\d "),
        ({"contamination": 0.9}, "needs 720 hidden anomalies, but there are only 450"),
        ({"n_normal": 11}, r"data\.n_normal=11 .* the 10 "),
        ({"test_limit": 3}, r"0 normal and 3 anomalous.*data\.test_limit"),
        ({"max_per_class": 2, "known_anomalies": 0}, "no normal image"),
    ],
)
def test_errors_of_the_draw(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(replace(BASE, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "knobs",
    [
        {"contamination": 1.0},
        {"contamination": -0.1},
        {"known_anomalies": -1},
        {"known_anomalies": 2.5},
        {"outlier_share": 0},
        {"test_share": 1},
        {"anomaly_test_share": 0},
        {"anomaly_test_share": 1.1},
        {"merge_parts": 1},
        {"fold": -1},
        {"fold": 5},
        {"fold": 0, "test_share": 0.7},
        {"max_per_class": 0},
        {"test_limit": 0},
        {"seed": -1},
    ],
)
def test_errors_of_the_protocol_name_the_option(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"data\.{next(iter(knobs))}="):
        make_protocol(**knobs)  # type: ignore[arg-type]


def test_empty_test_part() -> None:
    with pytest.raises(ValueError, match="the test set holds no normal image"):
        draw(BASE, np.full(1000, "train"))


def test_null_makes_every_remaining_anomaly_known() -> None:
    splits = draw(replace(BASE, known_anomalies=None))
    known = np.concatenate([splits.train_known, splits.val_known])
    assert len(splits.val_known) == round(0.1 * len(known))
    everything = np.concatenate(splits)
    assert set(np.flatnonzero(CLASSES != 8)) <= set(everything.tolist()), (
        "an anomaly is neither tested, hidden nor known"
    )
    ones = draw(replace(BASE, known_anomalies=None, known_classes=[1]))
    assert set(CLASSES[ones.train_known]) == {1}


def test_nothing_to_calibrate_on_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.validation_share"):
        draw(replace(BASE, validation_share=0))


def test_what_to_do_about_a_test_without_anomalies() -> None:
    with pytest.raises(ValueError, match=r"no anomalous image: .*known defects \(data=folder: .*anomalous/.*normal_"):
        draw(replace(BASE, normal_classes=list(range(10)), known_anomalies=0, contamination=0))
