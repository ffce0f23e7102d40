"""A comparison from finished runs: its numbers by hand and by scikit-learn, its words, and its files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.metrics import roc_auc_score

from semigan_pl.report import comparison_words as words
from semigan_pl.report.comparison import MEAN, Group, Row, Table, compared, grouped
from semigan_pl.report.comparison_page import write_comparison
from semigan_pl.report.comparison_runs import Cell, FinishedRun, Reference, read_finished
from tests.report.conftest import HOSTILE

RunFactory = Callable[..., Path]
AUROCS = {("a", "0"): (0.8, 0.9), ("a", "1"): (0.6, 0.7), ("b", "0"): (0.95,)}  # by method and class, seeds 0 and 1


def run(auroc: float | None, method: str = "a", name: str = "0", seed: int = 0) -> FinishedRun:
    """What the files of a run say, on four classes; 3 was known."""
    metrics = {"test/auroc": auroc, "score": f"{method}'s", "seed": seed, "train/images_seen": 640, "git": "0123abc"}
    counts = {"train": {name: 90, "3": 10}, "train_known": {"3": 9}, "val": {name: 10}, "val_known": {"3": 1}}
    data = {"name": "toy", "image_size": 16, "channels": 1, "normal_classes": [name], "hidden_anomalies": 10}
    classes = np.array(["0", "0", "1", "1", "3", "3"])
    return FinishedRun(
        metrics | {"versions": {"torch": "2.5.1"}},
        data | {"known_classes": ["3"], "counts": counts | {"test": {"0": 2, "1": 2, "3": 2}}},
        {"network": {"size": "small"}, "network_sizes": {"small": {"width": 8}}},
        classes,
        (classes != name).astype(int),
        np.array([0.1, 0.5, 0.4, 0.6, 0.0, 0.2]),
    )


def study(known: str | None = None, home: str = "s") -> tuple[list[Cell], dict[Path, FinishedRun]]:
    """Two methods on two of three classes; nothing of class 2 is finished."""
    cells, runs = list[Cell](), {}
    for (method, name), aurocs in AUROCS.items():
        for seed, auroc in enumerate(aurocs):
            place = Path(home, method, name, f"seed={seed}")
            cells.append(Cell("s", method, name, str(seed), place, known, home))
            runs[place] = run(auroc, method, name, seed)
    cells.append(Cell("s", "a", "2", "0", Path(home, "a", "2", "seed=0"), known, home))
    return cells, runs


def rows(*references: Reference, known: str | None = None) -> list[Row]:
    cells, runs = study(known)
    return compared({"s": "title"}, cells, runs, references)[0].rows


def test_means_and_deviations_by_hand() -> None:
    cells, runs = study()
    (table,) = compared({"s": "title", "empty": "nothing here"}, cells, runs, [])
    assert table.columns == ["0", "1", MEAN]
    a, b = table.rows
    assert a.groups["0"] == (pytest.approx(0.85), pytest.approx(0.05 * 2**0.5), 2)  # of a sample: over n - 1
    assert a.groups["1"] == (pytest.approx(0.65), pytest.approx(0.05 * 2**0.5), 2)
    assert a.groups[MEAN] == (pytest.approx(0.75), pytest.approx(0.1 * 2**0.5), 2)  # of the two classes
    assert b.groups == {"0": Group(0.95, None, 1), MEAN: Group(0.95, None, 1)}
    assert (a.score, b.score) == ("a's", "b's")


def test_the_unseen_classes_against_scikit_learn(make_run: RunFactory) -> None:
    folder = make_run()
    found, metrics = read_finished(folder), json.loads((folder / "metrics.json").read_text())
    kept = found.classes != "one"
    expected = roc_auc_score(found.labels[kept], found.scores[kept])
    assert (
        found.unseen_auroc("one") == pytest.approx(expected, abs=1e-12) == pytest.approx(metrics["test/auroc_unseen"])
    )
    assert found.unseen_auroc("eight") == pytest.approx(metrics["test/auroc"], abs=1e-12)  # what is normal stays
    assert found.auroc == metrics["test/auroc"]
    cells, runs = study(known="3")
    everything, unseen = compared({"s": "title"}, cells, runs, [])
    assert (everything.unseen, unseen.unseen) == (False, True)
    assert unseen.rows[0].groups["0"].mean == 0.75  # 0.4 and 0.6 against 0.1 and 0.5: three of four pairs


def test_a_difference_is_over_the_same_classes() -> None:
    each = Reference("s", "they", {0: 0.9, 1: 0.5, 2: 0.99, MEAN: 0.8}, "a paper", method="a")
    _, reference, difference, _ = rows(each)
    assert reference.groups[MEAN].mean == pytest.approx(0.7)  # of the classes that are shown, not the printed mean
    assert {name: group.mean for name, group in difference.groups.items()} == {
        "0": pytest.approx(-0.05),
        "1": pytest.approx(0.15),
        MEAN: pytest.approx(0.05),
    }
    only_mean = Reference("s", "they", {MEAN: 0.8}, "a paper", method="a", deviation=0.1)
    _, reference, difference, _ = rows(only_mean)
    assert reference.groups == {MEAN: Group(0.8, 0.1, 3)}
    assert reference.name == "they (mean of all 3 classes)"
    assert difference.groups == {}  # two of three classes are measured
    one = Reference("s", "they", {1: 0.9}, "a paper", method="b")  # measured on class 0 alone
    assert [row.groups for row in rows(one) if row.kind == "difference"] == [{}]


def test_a_complete_table_is_held_against_a_published_mean() -> None:
    cells, runs = study()
    reference = Reference("s", "they", {MEAN: 0.8}, "a paper", method="a")
    (table,) = compared({"s": "title"}, cells[:-1], runs, [reference])
    assert table.rows[2].groups == {MEAN: (pytest.approx(-0.05), None, 1)}


def test_references_without_a_row_of_ours_come_last() -> None:
    there = [Reference("s", "x", {0: 0.9}, "p"), Reference("s", "y", {0: 0.9}, "p", method="c")]
    elsewhere = [Reference("t", "z", {0: 0.9}, "p"), Reference("s", "z", {0: 0.9}, "p", unseen=True)]
    assert [(row.name, row.method) for row in rows(*there, *elsewhere)][2:] == [("x", ""), ("y", "")]


def test_cells_as_text() -> None:
    cells, runs = study()
    (table,) = compared({"s": "title"}, cells, runs, [Reference("s", "they", {0: 0.9}, "a paper", method="a")])
    lines = words.markdown("t", ["lead"], [table], {"s": "note"}, []).splitlines()
    assert "| method (score) | 0 | 1 | mean |" in lines
    assert "| a (a's) | 0.850 ± 0.071 | 0.650 ± 0.071 | 0.750 ± 0.141 |" in lines
    assert "| ↳ they [1] | 0.900 | – | – |" in lines
    assert "| ↳ difference | -0.050 | – | – |" in lines
    assert "| b (b's) | **0.950 (1)** | – | 0.950 (1) |" in lines  # fewer seeds, fewer classes: no best mean
    assert sum(line.count("**") for line in lines) == 2
    assert "[1] a paper.  " in lines


def test_the_csv_holds_every_number() -> None:
    cells, runs = study()
    tables = compared({"s": "title"}, cells, runs, [Reference("s", "they", {0: 0.9}, "a paper", method="a")])
    found = list(csv.DictReader(io.StringIO(words.table_csv(tables))))
    assert len(found) == 3 + 2 + 1 + 1
    (first,) = (row for row in found if (row["kind"], row["method"], row["class"]) == ("measured", "a", "0"))
    assert (float(first["auroc"]), first["n"], first["over"]) == (pytest.approx(0.85), "2", "all")


def test_the_protocol_is_that_of_the_runs() -> None:
    cells, runs = study(known="3", home="other")
    sentences = " ".join(words.protocol(list(runs.values()), ["search=quick"]))
    for part in ("toy, 16 px, grey", "2 normal and 4 anomalous", "640 unlabelled images seen", "small (width 8)"):
        assert part in sentences
    assert "seeds (0, 1)" in sentences
    assert "`search=quick`" in sentences
    note = words.note(cells[:-1], runs, {"s": "title", "other": "another"})
    assert (
        "100 unlabelled images, 10 of them hidden anomalies (10.0 %), and 9 known anomalies (1 more calibrate)." in note
    )
    assert "Known class: 3 where 0, 1 is normal." in note
    assert "What ignores known anomalies (a, b) is measured by its runs of “another”." in note


@pytest.mark.parametrize(
    ("values", "text"), [([5, 5], "5"), ([1000, 7], "7 to 1,000"), ([None], "unknown"), (["b", "a", "b"], "b, a")]
)
def test_spans(values: list[Any], text: str) -> None:
    assert words.span(values) == text


def test_one_value_has_no_deviation() -> None:
    assert grouped([0.5]) == (0.5, None, 1)


def test_the_files_show_other_peoples_words_as_they_are(tmp_path: Path) -> None:
    cells, runs = study(known="3")
    references = [Reference("s", HOSTILE, {0: 0.9}, "$", method="a"), Reference("s", f"{HOSTILE}2", {MEAN: 0.7}, "p")]
    failures = [words.Failure("a 2", "error | <b>", "python run.py")]
    write_comparison(tmp_path, HOSTILE, ["lead"], {"s": HOSTILE}, cells, runs, references, failures, True)
    page = (tmp_path / "table.html").read_text()
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert imread(tmp_path / "table.png").shape[1] == 1920
    assert r"error \| <b>" in (tmp_path / "table.md").read_text()


def test_a_test_without_anomalies_has_no_number(tmp_path: Path) -> None:
    cells, runs = study()
    runs[cells[-1].folder] = run(None, "a", "2")
    (table,) = compared({"s": "title"}, cells, runs, [])
    assert "2" not in table.rows[0].groups
    assert words.text(table.rows[0], "2", table) == "–"


def test_a_damaged_file_is_named(make_run: RunFactory) -> None:
    folder = make_run()
    (folder / "data.json").write_text("{")
    with pytest.raises(ValueError, match=r"a file of the run .* is damaged"):
        read_finished(folder)


def test_a_table_of_references_alone_can_be_written() -> None:
    row = Row("reference", "", "they", "", {"0": Group(0.9, None, 1)}, "a paper")
    assert words.text(row, "0", Table("s", "title", False, ["0"], [row])) == "0.900"
