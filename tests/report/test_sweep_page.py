"""The files of a comparison of runs, and the page in a browser."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from semigan_pl.report.sweep_files import find_runs
from semigan_pl.report.sweep_page import write_sweep
from tests.report.conftest import HOSTILE
from tests.report.devtools import browser
from tests.report.sweep_runs import make_run, make_sweep

PHONE = 390


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Over a sweep of gamma and contamination."""
    root = tmp_path_factory.mktemp("sweep")
    return write_sweep(root / "out", f"Comparison {HOSTILE}", find_runs([str(make_sweep(root / "multirun"))]))


def embedded(page: Path) -> Any:
    text = page.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def headings(page: Path) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page.read_text(encoding="utf-8"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_page_needs_nothing_else_and_shows_names_as_they_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<script src" not in text
    assert "default-src 'none'" in text
    assert text.count("plotly.js v") == 1
    sections = ["Across gamma", "Gamma and contamination", "Settings", "Scores", "The same test images", "Runs"]
    assert headings(page) == [*sections, "What differs", "Commands"]
    assert "python run.py data=digits model.gamma=0.5" in text
    assert "error: no space left &lt;b&gt;" in text


def test_figures_are_plotlys(page: Path) -> None:
    figures = embedded(page)["figures"]
    for panels in figures.values():
        for by_metric in panels.values():
            assert "test/auroc" in by_metric
            for figure in by_metric.values():
                go.Figure(figure)  # raises ValueError for what plotly does not know
    lines = figures["lines"]["all runs"]["test/auroc"]
    assert [trace["name"] for trace in lines["data"] if "name" in trace] == ["contamination 0", "contamination 0.2"]
    assert [shape["x0"] for shape in lines["layout"]["shapes"]] == [0.8]  # 1 - contamination
    heat = figures["heatmap"]["all runs"]["test/auroc"]["data"][0]
    assert (heat["x"], heat["y"], heat["customdata"]) == (
        ["0.5", "0.7", "1"],
        ["0", "0.2"],
        [["g0", "g1", "g2"], ["g3", "g4", "g5"]],
    )
    means = {
        mark: mean
        for row, marks in zip(heat["z"], heat["customdata"], strict=True)
        for mean, mark in zip(row, marks, strict=True)
    }
    assert dict(zip(lines["data"][0]["customdata"], lines["data"][0]["y"], strict=True)).items() <= means.items()


def test_tables_hold_all_runs_and_settings(page: Path) -> None:
    runs, groups = table(page.parent / "runs.csv"), table(page.parent / "groups.csv")
    assert len(runs) == 20
    assert [row["state"] for row in runs].count("finished") == 18
    assert {row["state"] for row in runs if row["run"].endswith("failed")} == {"error: no space left <b>"}
    own = [row for row in runs if row["group"] == "0"]
    (first,) = (row for row in groups if (row["group"], row["metric"]) == ("0", "test/auroc"))
    assert float(first["mean"]) == pytest.approx(sum(float(row["test/auroc"]) for row in own) / 3)
    assert (first["reference"], first["seeds_n"], first["images_n"]) == ("2", "3", "60")
    text, latex = (page.parent / "table.md").read_text(), (page.parent / "table.tex").read_text()
    cells = f"{float(first['mean']):.3f} ± {float(first['deviation']):.3f}"
    assert f"| 0 | 0.5 | {cells} |" in text
    assert f"0 & 0.5 & ${cells.replace('±', chr(92) + 'pm')}$" in latex
    assert "no space left" in text
    assert latex.count(r" \\") == 7


def test_sections_without_sense_are_left_out(tmp_path: Path) -> None:
    one = write_sweep(tmp_path / "one", "One", find_runs([str(make_run(tmp_path / "runs/a"))]))
    assert headings(one) == ["Scores", "Runs", "Commands"]
    other = make_run(tmp_path / "runs/b", loss={"_target_": "losses.b"})
    for name in ("scores.csv", "examples.npz"):
        (other / name).unlink()
    (tmp_path / "runs/a" / "scores.csv").unlink()
    make_run(tmp_path / "runs/c", loss={"_target_": "losses.c"})
    words = write_sweep(tmp_path / "words", "Words", find_runs([str(tmp_path / "runs")]))
    assert headings(words) == ["Settings", "Scores", "The same test images", "Runs", "What differs", "Commands"]
    assert "finished, without scores: it has no scores.csv" in words.read_text(encoding="utf-8")


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    (make_run(tmp_path / "a") / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"none of the 1 runs can be compared, e\.g\. .*a: not finished"):
        write_sweep(tmp_path / "out", "None", find_runs([str(tmp_path)]))


ROWS = "[...document.querySelectorAll('#runs tbody tr')].filter(row => !row.hidden)"
HITS = "[...document.querySelectorAll('.hit')].map(row => row.id)"
COLUMN = f"(heads => {ROWS}.map(row => row.cells[heads.indexOf('AUROC')].textContent))"
COLUMN += "([...document.querySelectorAll('#runs th')].map(head => head.textContent))"


def test_sorting_filtering_and_clicks_in_a_browser(page: Path) -> None:
    with browser() as tab:
        tab.open(page.as_uri())
        assert tab.value("document.querySelectorAll('.js-plotly-plot .main-svg').length") > 5
        tab.click("#runs th:nth-child(6)")  # run, contamination, gamma, seed, score, AUROC
        falling = [float(value) for value in tab.value(COLUMN) if value != "—"]
        assert falling == sorted(falling, reverse=True)
        assert tab.value(COLUMN)[-2:] == ["—", "—"]  # what is missing stays below
        tab.click("#runs th:nth-child(6)")
        rising = [float(value) for value in tab.value(COLUMN) if value != "—"]
        assert rising == falling[::-1]
        tab.value("one('query').value = 'gamma=0.5 seed=1'; one('query').dispatchEvent(new Event('input'))")
        assert tab.value(f"{ROWS}.length") == 2
        tab.click("#lines .points path")  # the last one: a seed at gamma 1, which the filter hides
        (hit,) = tab.value(HITS)
        assert tab.value(f"{ROWS}.length") == 20
        assert tab.value(f"document.getElementById('{hit}').cells[2].textContent") == "1"
        link = tab.value(f"decodeURIComponent(document.querySelector('#{hit} a').pathname)")
        assert Path(link).is_file()
        address = tab.value("location.href")
        tab.click("#heatmap .nsewdrag")  # its middle: contamination 0 or 0.2, gamma 0.7
        assert len(tab.value(HITS)) == 3
        assert tab.complaints() == []
    assert f"show={hit}" in address


def test_a_link_shows_the_same_again(page: Path) -> None:
    with browser(dark=True) as tab:
        where = json.dumps({"2": "0.7"})
        tab.open(f"{page.as_uri()}#sort=5-&where={where}&metric=test/f1&reference=0&show=g1&curves=0.1")
        assert tab.value(f"{ROWS}.length") == 6
        assert tab.value("[one('metric').value, one('reference').value]") == ["test/f1", "0"]
        assert len(tab.value(HITS)) == 3
        assert tab.value("document.querySelectorAll('#histograms > div').length") == 2
        assert tab.value("one('groups').rows[1].textContent").count("–") >= 3  # the reference itself
        assert tab.complaints() == []


def test_a_link_that_was_cut_short_shows_the_page(page: Path) -> None:
    with browser() as tab:
        tab.open(f"{page.as_uri()}#where=x&metric=nothing&reference=99&show=g99&curves=9.x")
        assert tab.value(f"{ROWS}.length") > 6
        assert tab.value("document.querySelectorAll('.js-plotly-plot').length") > 2
        assert tab.complaints() == []


def test_a_phone_scrolls_one_way_only(page: Path) -> None:
    with browser(PHONE) as tab:
        tab.open(page.as_uri())
        assert tab.value("[innerWidth, document.documentElement.scrollWidth]") == [PHONE, PHONE]
        assert tab.complaints() == []
