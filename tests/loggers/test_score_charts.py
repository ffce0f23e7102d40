"""ROC and histogram of a run as rows, against scikit-learn and by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc

from semigan_pl.loggers.score_charts import histogram_rows, roc_rows
from semigan_pl.report.run_files import RunFiles, Scores, read_run


@pytest.fixture
def run(make_run: Callable[..., Path]) -> RunFiles:
    return read_run(make_run(n_per_class=60))


def scores(labels: list[int], values: list[float], classes: list[str]) -> Scores:
    n = len(labels)
    return Scores(np.arange(n), [""] * n, classes, np.array(labels), np.array(values), None, {})


def test_the_area_under_each_curve_is_the_auroc_of_its_kind(run: RunFiles) -> None:
    """A curve has at most 120 points, a test set of this size about as many corners."""
    for kind, key in (("all anomalies", "auroc"), ("known kinds", "auroc_known"), ("unseen kinds", "auroc_unseen")):
        points = np.array([(x, y) for name, x, y in roc_rows(run) if name == kind])
        assert points[0].tolist() == [0, 0]
        assert points[-1].tolist() == [1, 1]
        assert auc(points[:, 0], points[:, 1]) == pytest.approx(run.metrics[f"test/{key}"], abs=0.003)


def test_every_kind_of_image_has_all_of_its_shares(run: RunFiles) -> None:
    rows = histogram_rows(run)
    assert list(dict.fromkeys(kind for kind, _, _ in rows)) == ["normal", "known kinds", "unseen kinds"]
    for kind in ("normal", "known kinds", "unseen kinds"):
        assert sum(share for name, _, share in rows if name == kind) == pytest.approx(1)
    assert run.scores is not None
    normal = run.scores.score[run.scores.labels == 0]
    middle = sum(x * share for kind, x, share in rows if kind == "normal")
    assert middle == pytest.approx(normal.mean(), rel=0.05)  # bins are a fortieth of the axis


def test_where_nothing_was_known_anomalies_are_one_kind(run: RunFiles) -> None:
    unknown = replace(run, data={"known_classes": []})
    assert {kind for kind, _, _ in roc_rows(unknown)} == {"all anomalies"}
    assert {kind for kind, _, _ in histogram_rows(unknown)} == {"normal", "all anomalies"}


def test_a_curve_by_hand(run: RunFiles) -> None:
    four = replace(run, data={}, scores=scores([0, 0, 1, 1], [1.0, 3.0, 2.0, 4.0], ["a", "a", "b", "b"]))
    corners = [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert roc_rows(four) == [("all anomalies", x, y) for x, y in corners]


def test_without_one_of_the_labels_there_is_no_curve(run: RunFiles) -> None:
    for label, kind in ((0, "normal"), (1, "all anomalies")):
        one = replace(run, data={}, scores=scores([label] * 3, [1.0, 2.0, 3.0], ["a"] * 3))
        assert roc_rows(one) == []
        assert {name for name, _, _ in histogram_rows(one)} == {kind}
    nothing = replace(run, scores=None)
    assert roc_rows(nothing) == histogram_rows(nothing) == []
