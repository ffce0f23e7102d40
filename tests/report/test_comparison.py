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
from sklearn.metrics import precision_recall_curve, roc_auc_score

from semigan_pl.report import comparison_protocol
from semigan_pl.report import comparison_words as words
from semigan_pl.report.comparison import MEAN, Column, Group, Row, Table, compared, grouped
from semigan_pl.report.comparison_figure import panels
from semigan_pl.report.comparison_latex import escaped, latex
from semigan_pl.report.comparison_page import write_comparison
from semigan_pl.report.comparison_records import RECORDS, Record, read_records, write_records
from semigan_pl.report.comparison_runs import METRICS, Cell, Comparison, FinishedRun, Layout, Reference, read_finished
from tests.report.conftest import HOSTILE

RunFactory = Callable[..., Path]
USUAL = Layout({"auroc": "AUROC"}, "{}", True)
BOTH = Layout({"f1_max_inlier": "F1", "auroc": "AUROC"}, "N = {}", False)
AUROCS = {("a", "0"): (0.8, 0.9), ("a", "1"): (0.6, 0.7), ("b", "0"): (0.95,)}  # by method and class, seeds 0 and 1


def run(auroc: float | None, method: str = "a", name: str = "0", seed: int = 0) -> FinishedRun:
    """What the files of a run say, on four classes; 3 was known."""
    metrics: dict[str, Any] = {"test/auroc": auroc, "test/f1_max_inlier": 0.9, "score": f"{method}'s", "seed": seed}
    metrics |= {"train/images_seen": 640, "git": "0123abc", "versions": {"torch": "2.5.1"}}
    counts = {"train": {name: 90, "3": 10}, "train_known": {"3": 9}, "val": {name: 10}, "val_known": {"3": 1}}
    data = {"name": "toy", "image_size": 16, "channels": 1, "normal_classes": [name], "hidden_anomalies": 10}
    classes = np.array(["0", "0", "1", "1", "3", "3"])
    labels, scores = classes != name, np.array([0.1, 0.5, 0.4, 0.6, 0.0, 0.2])
    kept = classes != "3"
    return FinishedRun(
        metrics,
        data | {"known_classes": ["3"], "counts": counts | {"test": {"0": 2, "1": 2, "3": 2}}},
        {"network": "small", "width": 8, "classical": False, "transductive": False},
        {"auroc": {"3": METRICS["auroc"](labels[kept], scores[kept])}, "f1_max_inlier": {"3": 0.5}},
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


def comparison(
    *references: Reference, known: str | None = None, layout: Layout = USUAL, complete: bool = False
) -> Comparison:
    cells, runs = study(known)
    return Comparison({"s": "title"}, cells[:-1] if complete else cells, runs, references, layout)


def rows(*references: Reference, known: str | None = None) -> list[Row]:
    return compared(comparison(*references, known=known))[0].rows


def test_means_and_deviations_by_hand() -> None:
    (table,) = compared(comparison()._replace(titles={"s": "title", "empty": "nothing here"}))
    assert table.columns == [("auroc", "0"), ("auroc", "1"), ("auroc", MEAN)]
    a, b = table.rows
    assert a.of("auroc")["0"] == (pytest.approx(0.85), pytest.approx(0.05 * 2**0.5), 2)  # of a sample: over n - 1
    assert a.of("auroc")["1"] == (pytest.approx(0.65), pytest.approx(0.05 * 2**0.5), 2)
    assert a.of("auroc")[MEAN] == (pytest.approx(0.75), pytest.approx(0.1 * 2**0.5), 2)  # of the two classes
    assert b.of("auroc") == {"0": Group(0.95, None, 1), MEAN: Group(0.95, None, 1)}
    assert (a.score, b.score) == ("a's", "b's")


def test_the_unseen_classes_against_scikit_learn(make_run: RunFactory) -> None:
    folder = make_run()
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["class"] != "one"]
    labels, scores = (np.array([float(row[name]) for row in kept]) for name in ("label", "score"))
    found = read_finished(folder, ["auroc", "f1_max_inlier"], "one")
    unseen_auroc = found.unseen("auroc", "one")
    assert unseen_auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert unseen_auroc == pytest.approx(metrics["test/auroc_unseen"])
    normal = read_finished(folder, ["auroc"], "eight")  # what is normal stays
    assert normal.unseen("auroc", "eight") == pytest.approx(metrics["test/auroc"], abs=1e-12)
    assert found.value("auroc") == metrics["test/auroc"]
    precision, recall, _ = precision_recall_curve(1 - labels, -scores)
    f1 = 2 * precision * recall / (precision + recall + 1e-30)
    assert found.unseen("f1_max_inlier", "one") == pytest.approx(f1.max(), abs=1e-12)
    everything, unseen = compared(comparison(known="3"))
    assert (everything.unseen, unseen.unseen) == (False, True)
    assert unseen.rows[0].of("auroc")["0"].mean == 0.75  # 0.4 and 0.6 against 0.1 and 0.5: three of four pairs


def test_a_difference_is_over_the_same_classes() -> None:
    each = Reference("s", "they", {0: 0.9, 1: 0.5, 2: 0.99, MEAN: 0.8}, "a paper", method="a")
    _, reference, difference, _ = rows(each)
    assert reference.of("auroc")[MEAN].mean == pytest.approx(0.7)  # of the classes that are shown, not the printed mean
    assert {name: group.mean for name, group in difference.of("auroc").items()} == {
        "0": pytest.approx(-0.05),
        "1": pytest.approx(0.15),
        MEAN: pytest.approx(0.05),
    }
    only_mean = Reference("s", "they", {MEAN: 0.8}, "a paper", method="a", deviation=0.1)
    _, reference, difference, _ = rows(only_mean)
    assert reference.of("auroc") == {MEAN: Group(0.8, 0.1, 3)}
    assert reference.name == "they (mean of all 3 classes)"
    assert difference.groups == {}  # two of three classes are measured
    one = Reference("s", "they", {1: 0.9}, "a paper", method="b")  # measured on class 0 alone
    assert [row.groups for row in rows(one) if row.kind == "difference"] == [{}]


def test_a_complete_table_is_held_against_a_published_mean() -> None:
    reference = Reference("s", "they", {MEAN: 0.8}, "a paper", method="a")
    (table,) = compared(comparison(reference, complete=True))
    assert table.rows[2].of("auroc") == {MEAN: (pytest.approx(-0.05), None, 1)}


def test_references_without_a_row_of_ours_come_last() -> None:
    there = [Reference("s", "x", {0: 0.9}, "p"), Reference("s", "y", {0: 0.9}, "p", method="c")]
    elsewhere = [Reference("t", "z", {0: 0.9}, "p"), Reference("s", "z", {0: 0.9}, "p", unseen=True)]
    assert [(row.name, row.method) for row in rows(*there, *elsewhere)][2:] == [("x", ""), ("y", "")]


def test_cells_as_text() -> None:
    (table,) = compared(comparison(Reference("s", "they", {0: 0.9}, "a paper", method="a")))
    lines = words.markdown("t", ["lead"], [table], {"s": "note"}, []).splitlines()
    assert "| method (score) | 0 | 1 | mean |" in lines
    assert "| a (a's) | 0.850 ± 0.071 | 0.650 ± 0.071 | 0.750 ± 0.141 |" in lines
    assert "| ↳ they [1] | 0.900 | – | – |" in lines
    assert "| ↳ difference | -0.050 | – | – |" in lines
    assert "| b (b's) | **0.950 (1)** | – | 0.950 (1) |" in lines  # fewer seeds, fewer classes: no best mean
    assert sum(line.count("**") for line in lines) == 2
    assert "[1] a paper.  " in lines


def test_the_csv_holds_every_number() -> None:
    tables = compared(comparison(Reference("s", "they", {0: 0.9}, "a paper", method="a")))
    found = list(csv.DictReader(io.StringIO(words.table_csv(tables))))
    assert len(found) == 3 + 2 + 1 + 1
    (first,) = (row for row in found if (row["kind"], row["method"], row["class"]) == ("measured", "a", "0"))
    assert (first["metric"], first["n"], first["over"]) == ("auroc", "2", "all")
    assert float(first["value"]) == pytest.approx(0.85)


def test_the_protocol_is_that_of_the_runs() -> None:
    cells, runs = study(known="3", home="other")
    sentences = " ".join(comparison_protocol.protocol(list(runs.values()), ["search=quick"], USUAL))
    for part in ("toy, 16 px, grey", "2 normal and 4 anomalous", "640 unlabelled images seen", "small (width 8)"):
        assert part in sentences
    assert "seeds (0, 1)" in sentences
    assert "`search=quick`" in sentences
    note = comparison_protocol.note(Comparison({"s": "title", "other": "another"}, cells, runs, [], USUAL), "s")
    assert (
        "100 unlabelled images, 10 of them hidden anomalies (10.0 %), and 9 known anomalies (1 more calibrate)." in note
    )
    assert "Known class: 3 where 0, 1 is normal." in note
    assert "What ignores known anomalies (a, b) is measured by its runs of “another”." in note


@pytest.mark.parametrize(
    ("values", "text"), [([5, 5], "5"), ([1000, 7], "7 to 1,000"), ([None], "unknown"), (["b", "a", "b"], "b, a")]
)
def test_spans(values: list[Any], text: str) -> None:
    assert comparison_protocol.span(values) == text


def test_one_value_has_no_deviation() -> None:
    assert grouped([0.5]) == (0.5, None, 1)


def test_the_files_show_other_peoples_words_as_they_are(tmp_path: Path) -> None:
    cells, runs = study(known="3")
    references = [Reference("s", HOSTILE, {0: 0.9}, "$", method="a"), Reference("s", f"{HOSTILE}2", {MEAN: 0.7}, "p")]
    failures = [words.Failure("a 2", "error | <b>", "python run.py")]
    everything = Comparison({"s": HOSTILE}, cells, runs, references, USUAL)
    write_comparison(tmp_path, HOSTILE, ["lead"], everything, failures, True)
    page = (tmp_path / "table.html").read_text()
    assert "<img src=x" not in page
    assert "<b>" not in page
    assert imread(tmp_path / "table.png").shape[1] == 1920
    assert r"error \| <b>" in (tmp_path / "table.md").read_text()


def test_a_test_without_anomalies_has_no_number(tmp_path: Path) -> None:
    cells, runs = study()
    runs[cells[-1].folder] = run(None, "a", "2")
    (table,) = compared(Comparison({"s": "title"}, cells, runs, [], USUAL))
    assert "2" not in table.rows[0].of("auroc")
    assert words.text(table.rows[0], Column("auroc", "2"), table) == "–"


def test_a_damaged_file_is_named(make_run: RunFactory) -> None:
    folder = make_run()
    (folder / "data.json").write_text("{")
    with pytest.raises(ValueError, match=r"a file of the run .* is damaged"):
        read_finished(folder, ["auroc"], None)


def test_a_record_says_what_the_folder_said(make_run: RunFactory, tmp_path: Path) -> None:
    folder = make_run()
    found = [read_finished(folder, metrics, known) for metrics, known in ((["auroc"], "one"), (["f1_max"], None))]
    made = [Record(f"s/a/0/seed={seed}", ["data=toy"], 1.5, run) for seed, run in enumerate(found)]
    write_records(tmp_path / RECORDS, made)
    assert read_records(tmp_path / RECORDS) == made


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"place": "a", "overrides": [], "seconds": 1, "run": {"metrics": {}}}']
)
def test_a_file_without_records_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(f"{line}\n")
    with pytest.raises(
        ValueError, match=r"line 1 of .*runs\.csv is no record of a run .*: give the records\.jsonl of a"
    ):
        read_records(file)
    with pytest.raises(FileNotFoundError, match=r"table\.records names .*nowhere, which is not there"):
        read_records(tmp_path / "nowhere")


def test_a_table_of_references_alone_can_be_written() -> None:
    column = Column("auroc", "0")
    row = Row("reference", "", "they", "", {column: Group(0.9, None, 1)}, "a paper")
    assert words.text(row, column, Table("s", "title", False, [column], [row], USUAL)) == "0.900"


PUBLISHED = [
    Reference(["s", "t"], "they", {0: 0.85, 1: 0.8}, "a paper", method="a", metric="f1_max_inlier"),
    Reference(["s", "t"], "they", {0: 0.9}, "a paper", method="a"),
    Reference("s", "else", {1: 0.5}, "a page"),
    Reference("s", "else", {1: 0.6}, "another page", metric="f1_max"),  # a metric that is not shown
    Reference("t", "not here", {1: 0.5}, "a page"),
]


def test_several_metrics_stand_side_by_side() -> None:
    (table,) = compared(comparison(*PUBLISHED, layout=BOTH))
    assert table.columns == [(metric, name) for metric in BOTH.metrics for name in ("0", "1")]
    lines = words.markdown("t", ["lead"], [table], {"s": "note"}, []).splitlines()
    assert "| method (score) | F1, N = 0 | F1, N = 1 | AUROC, N = 0 | AUROC, N = 1 |" in lines
    assert "| a (a's) | **0.900 ± 0.000** | 0.900 ± 0.000 | 0.850 ± 0.071 | 0.650 ± 0.071 |" in lines
    assert "| ↳ they [1] | 0.850 | 0.800 | 0.900 | – |" in lines
    assert "| ↳ difference | +0.050 | +0.100 | -0.050 | – |" in lines
    assert "| else [2] | – | – | – | 0.500 |" in lines
    assert "[2] a page.  " in lines
    found = list(csv.DictReader(io.StringIO(words.table_csv([table]))))
    assert {row["class"] for row in found} == {"0", "1"}  # no mean
    assert {row["metric"] for row in found} == set(BOTH.metrics)
    assert len(found) == 4 + 3 + 3 + 2 + 1


def test_a_metric_that_looks_at_the_labels_says_so() -> None:
    _, runs = study()
    sentences = comparison_protocol.protocol(list(runs.values()), [], BOTH)
    assert any(
        sentence.startswith("F1 is the largest F1 over all thresholds, inliers positive: it looks at the test labels")
        for sentence in sentences
    )
    assert not any("last column" in sentence for sentence in sentences)


def test_a_panel_for_each_metric_in_one_order(tmp_path: Path) -> None:
    cells, runs = study(known="3")
    for place, run_ in runs.items():
        run_.metrics["test/f1_max_inlier"] = 0.6 if place.parts[1] == "a" else 0.5  # by AUROC b is first
    everything = Comparison({"s": "title"}, cells, runs, PUBLISHED, BOTH)
    first, second = panels(compared(everything))
    assert (first.metric, second.metric) == ("f1_max_inlier", "auroc")
    assert [row.name for row in first.ranked] == [row.name for row in second.ranked] == ["a", "b", "else"]
    write_comparison(tmp_path, "t", ["lead"], everything, [], True)
    page = (tmp_path / "table.html").read_text()
    assert '<th scope="colgroup" style="text-align: center" colspan="2">F1</th>' in page
    assert page.count('<th scope="col">N = 1</th>') == 4  # two metrics, over all and over unseen classes


def test_what_differs_between_settings_stands_in_their_notes() -> None:
    cells, runs = study()
    layout = Comparison({"s": "title", "t": "other"}, cells, runs, [], USUAL)
    assert "ested on" not in comparison_protocol.note(layout, "s")
    larger = run(0.5, "a", "0", 0)
    larger.data["counts"]["test"]["3"] = 40
    larger.settings.update(transductive=True, classical=True)
    place = Path("t", "a", "0", "seed=0")
    wider = layout._replace(cells=[*cells, Cell("t", "a", "0", "0", place, None, "t")], runs={**runs, place: larger})
    fitted, tested = comparison_protocol.note(wider, "t").split(". ")
    assert fitted == "Fitted to the test images themselves, whose labels it does not see"
    assert tested == "Tested on 2 normal and 42 anomalous images."
    assert "Tested on 2 normal and 4 anomalous images." in comparison_protocol.note(wider, "s")
    larger.metrics["train/images_seen"] = 44
    sentences = " ".join(comparison_protocol.protocol(list(wider.runs.values()), [], USUAL))
    assert "Training: 640 unlabelled images seen" in sentences  # what is fitted at once sees nothing step by step


def test_latex_holds_the_same_numbers() -> None:
    tables = compared(comparison(*PUBLISHED, layout=BOTH))
    text = latex("50 % off", ["lead_1"], tables, {"s": "note"})
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[:2] == [r"\begin{tabular}{lrrrr}", r"\toprule"]
    assert lines[2:5] == [
        r" & \multicolumn{2}{c}{F1} & \multicolumn{2}{c}{AUROC} \\",
        r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}",
        r"method (score) & N = 0 & N = 1 & N = 0 & N = 1 \\",
    ]
    assert r"\multicolumn{5}{l}{\emph{title}} \\" in lines
    best = r"a (a's) & $\mathbf{0.900 \pm 0.000}$ & $0.900 \pm 0.000$ & $0.850 \pm 0.071$ & $0.650 \pm 0.071$ \\"
    assert best in lines
    assert r"b (b's) & $\mathbf{0.900}$ (1) & -- & $\mathbf{0.950}$ (1) & -- \\" in lines
    assert r"\quad they & $0.850$ & $0.800$ & $0.900$ & -- \\" in lines
    assert r"\quad difference & $+0.050$ & $+0.100$ & $-0.050$ & -- \\" in lines
    assert "% they: a paper" in text.splitlines()


def test_latex_is_whole_whatever_the_names() -> None:
    layout = Layout({"auroc": HOSTILE}, HOSTILE + "{}", True)
    references = [Reference("s", HOSTILE, {0: 0.9}, f"{HOSTILE}\n\\end", method="a")]
    tables = [table._replace(title=HOSTILE) for table in compared(comparison(*references, known="3", layout=layout))]
    lines = [line for line in latex(HOSTILE, ["a\nb"], tables, {"s": "c\nd"}).splitlines() if not line.startswith("%")]
    assert sum(line.startswith(r"\midrule") for line in lines) == 2
    for line in lines:
        plain = line.replace(r"\{", "").replace(r"\}", "").replace(r"\&", "").replace(r"\$", "")
        assert plain.count("{") == plain.count("}")
        assert plain.count("$") % 2 == 0
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert plain.count("&") == 3
    assert escaped("a_b & 5 % ~^\\") == r"a\_b \& 5 \% \textasciitilde{}\textasciicircum{}\textbackslash{}"
