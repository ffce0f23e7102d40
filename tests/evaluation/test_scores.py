"""Gathering scores of batches and processes, and the numbers that a run reports about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from semigan_pl.evaluation.metrics import auroc, f1_max
from semigan_pl.evaluation.pixels import PixelCounts
from semigan_pl.evaluation.scores import ScoreTable, summarize_pixels, summarize_test, summarize_validation


def table_of(indices: list[int]) -> ScoreTable:
    """What the images of these indices are, whoever looks at them."""
    rows = np.array(indices, dtype=np.int64)
    return ScoreTable(rows, rows % 2, {"critic": np.sin(rows) * 1e6, "residual": np.cos(rows)})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=6), min_size=1, max_size=8))
def test_gathering_puts_every_image_once_and_in_order(batches: list[list[int]]) -> None:
    """Batches of any size, doubles included, as processes with padded samplers would hand them in."""
    gathered = ScoreTable.gather([table_of(batch) for batch in batches])
    expected = table_of(sorted({index for batch in batches for index in batch}))
    np.testing.assert_array_equal(gathered.indices, expected.indices)
    np.testing.assert_array_equal(gathered.labels, expected.labels)
    for name, values in expected.terms.items():
        np.testing.assert_array_equal(gathered.terms[name], values)


@pytest.mark.parametrize("size", [1, 7, 64, 200])
def test_a_metric_does_not_depend_on_the_batches(size: int) -> None:
    """Some batches lie within [0, 1] and others far outside: a sigmoid per batch would mix up their order."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    scores = np.where(np.arange(200) < 64, random.random(200), random.normal(0, 1e6, 200)) + labels
    parts = [
        ScoreTable(rows, labels[rows], {"critic": scores[rows]})
        for rows in np.split(np.arange(200), range(size, 200, size))
    ]
    gathered = ScoreTable.gather(parts[::-1])
    assert auroc(gathered.labels, gathered.terms["critic"]) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_validation_knows_known_anomalies_and_the_pool() -> None:
    table = table_of(list(range(40)))
    summary = summarize_validation(table, "residual")
    assert summary["val/auroc_critic"] == pytest.approx(roc_auc_score(table.labels, table.terms["critic"]))
    assert summary["val/auroc"] == summary["val/auroc_residual"]
    assert set(summary) == {"val/auroc", "val/auroc_critic", "val/auroc_residual"}


def test_validation_without_known_anomalies_is_undefined() -> None:
    table = table_of([0, 2, 4])
    assert set(summarize_validation(table, "critic").values()) == {None}


CLASSES = np.array(["plain"] * 40 + ["cut"] * 20 + ["dirt"] * 15 + ["hole"] * 5)
LABELS = (CLASSES != "plain").astype(np.int64)
SCORES = (np.random.default_rng(3).normal(size=80) + LABELS).astype(np.float32) * 1e3


def summary_with(known: list[str], classes: np.ndarray = CLASSES, rows: slice = slice(None)) -> dict[str, float | None]:
    terms = {"critic": SCORES[rows], "residual": -SCORES[rows]}
    table = ScoreTable(np.arange(80)[rows], LABELS[rows], terms)
    return summarize_test(table, "critic", 500.0, classes[rows], known, {"auroc": auroc, "best": f1_max})


def area(*anomalous: str) -> float:
    chosen = np.isin(CLASSES, ["plain", *anomalous])
    return float(roc_auc_score(LABELS[chosen], SCORES[chosen]))


def test_test_numbers_agree_with_scikit_learn() -> None:
    summary = summary_with(["cut", "hole"])
    whole = roc_auc_score(LABELS, SCORES)
    assert summary["test/auroc"] == summary["test/auroc_critic"] == pytest.approx(whole, abs=1e-12)
    assert summary["test/auroc_residual"] == pytest.approx(1 - whole, abs=1e-12)
    assert summary["test/auroc_known"] == pytest.approx(area("cut", "hole"), abs=1e-12)
    assert summary["test/auroc_unseen"] == pytest.approx(area("dirt"), abs=1e-12)
    for name in ("cut", "dirt", "hole"):
        assert summary[f"test/auroc_class/{name}"] == pytest.approx(area(name), abs=1e-12)
    assert summary["test/best"] == f1_max(LABELS, SCORES)
    assert "test/auroc_class/plain" not in summary


def test_test_numbers_of_the_decision() -> None:
    summary = summary_with(["cut"])
    assert summary["test/threshold"] == 500.0
    assert summary["test/prevalence"] == 0.5
    assert summary["test/accuracy"] == pytest.approx(np.mean((SCORES > 500) == LABELS))
    assert summary["test/recall"] == pytest.approx(np.mean(SCORES[LABELS == 1] > 500))
    assert summary["test/precision"] == pytest.approx(np.mean(LABELS[SCORES > 500]))


def test_known_and_unseen_areas_average_to_the_whole_weighted_by_images() -> None:
    summary = summary_with(["cut"])
    parts = 20 * (summary["test/auroc_known"] or 0) + 20 * (summary["test/auroc_unseen"] or 0)
    assert parts / 40 == pytest.approx(summary["test/auroc"])


def test_a_kind_without_images_is_undefined() -> None:
    assert summary_with(["cut", "dirt", "hole"])["test/auroc_unseen"] is None
    assert summary_with([])["test/auroc_known"] is None


def test_a_test_set_of_normal_images_only() -> None:
    summary = summary_with(["cut"], rows=slice(0, 40))
    assert summary["test/auroc"] is None
    assert summary["test/recall"] is None
    assert summary["test/prevalence"] == 0.0
    assert summary["test/accuracy"] == pytest.approx(np.mean(SCORES[:40] <= 500))


def test_a_known_class_that_is_normal_is_never_an_anomaly() -> None:
    assert summary_with(["plain", "cut"])["test/auroc_known"] == pytest.approx(area("cut"))


def test_pixel_numbers_by_hand() -> None:
    pixels = PixelCounts()
    pixels.add(np.array([1, 2, 3, 4], dtype=np.float32), np.array([False, True, False, True]))
    assert summarize_pixels(pixels, 7) == {
        "test/pixel_auroc": 0.75,
        "test/pixel_average_precision": (1 + 2 / 3) / 2,
        "test/pixel_prevalence": 0.5,
        "test/pixel_images": 7,
    }
