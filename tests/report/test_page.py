"""The page stands alone, says what the files say, and survives odd runs and hostile names."""

import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from semigan_pl.report import write_report
from semigan_pl.report.figures import result_charts
from semigan_pl.report.page import command
from semigan_pl.report.run_files import read_run
from semigan_pl.report.style import DARK, render
from semigan_pl.report.verdict import verdict

RunFactory = Callable[..., Path]
HOSTILE = '<img src=x onerror="alert(1)">&$\\frac{'  # a class of the synthetic run
VOID = {"meta", "link", "img", "br", "source", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, text, the cells of each table by its id."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(str(dict(attributes)["id"]), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def attributes(self, *names: str) -> list[str]:
        """Values of the named attributes anywhere on the page."""
        return [value or "" for _, found in self.tags for name, value in found.items() if name in names]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the words alone: drawing is what takes the time."""
    monkeypatch.setattr("semigan_pl.report.page.render", lambda *_: b"png")


def _page(folder: Path) -> Page:
    page = write_report(folder)
    assert page == folder / "report.html"
    parsed = Page(page.read_text(encoding="utf-8"))
    assert parsed.open == []
    return parsed


def _metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.usefixtures("no_drawing")
def test_the_numbers_are_those_of_the_run(make_run: RunFactory) -> None:
    folder = make_run()
    page, metrics = _page(folder), _metrics(folder)

    rows = {row[0]: row[1:] for row in page.tables["terms"][1:]}
    for name in ("residual", "critic"):
        expected = [f"{metrics[f'{split}/auroc_{name}']:.3f}" for split in ("val", "test")]
        assert rows[name][:2] == expected
    chosen = ["val/auroc_fused", "test/auroc_fused", "test/average_precision", "test/f1", "test/f1_max"]
    assert rows["fused the score"] == [f"{metrics[key]:.3f}" for key in chosen]
    scores = read_run(folder).scores
    assert scores is not None
    called = scores.terms["critic"] > metrics["val/threshold_critic"]
    assert rows["critic"][3] == f"{f1_score(scores.labels, called):.3f}"

    decisions = {row[0]: row[1:] for row in page.tables["decisions"][1:]}
    for key in ("f1", "precision", "recall", "accuracy"):
        words = "F1" if key == "f1" else key
        assert decisions[words] == [f"{metrics[f'test/{key}']:.3f}"]
    passed, false_alarms, missed, found = (int(cell) for cell in decisions["normal"] + decisions["anomalous"])
    assert (passed + false_alarms, missed + found) == (60, 60)
    assert found / (found + missed) == pytest.approx(metrics["test/recall"])
    assert found / (found + false_alarms) == pytest.approx(metrics["test/precision"])
    assert f"finds {found} of 60 anomalies" in page.text

    classes = {row[0]: row[1:] for row in page.tables["classes"][1:]}
    assert classes["seven"] == ["anomaly", "19", "·", "19", "19", f"{metrics['test/auroc_class/seven']:.3f}"]
    assert classes["one"][:3] == ["known anomaly", "13", "45"]
    assert classes["all"] == ["", "58", "45", "58", "58", ""]


def test_the_page_stands_alone(make_run: RunFactory) -> None:
    page = _page(make_run())
    sources = page.attributes("src", "srcset", "href")
    assert len(sources) > 20
    assert all(source.startswith("data:") for source in sources)
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    assert "script" not in {tag for tag, _ in page.tags}
    styles = " ".join(page.words)
    assert "url(" not in styles
    assert "@import" not in styles


def test_a_hostile_class_name_stays_text(make_run: RunFactory) -> None:
    page = _page(make_run())
    assert not any(name.startswith("on") for _, found in page.tags for name in found)
    assert "x" not in page.attributes("src")
    assert "b" not in {tag for tag, _ in page.tags}  # from the notes and the config
    assert page.tables["classes"][3][0] == HOSTILE
    assert "Clutter: folder <b>BACKGROUND</b>." in page.text


def test_figures_are_files_too(make_run: RunFactory) -> None:
    folder = make_run()
    write_report(folder)
    names = {path.stem for path in (folder / "figures").iterdir()}
    expected = {"roc", "precision_recall", "histogram", "classes", "examples"}
    assert expected | {"curves_discriminator", "curves_generator", "curves_val_auroc"} <= names
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.usefixtures("no_drawing")
def test_the_command_can_be_pasted(make_run: RunFactory) -> None:
    expected = "python run.py data=digits model.gamma=0.5 'data.normal_classes=[8]' 'name=two words'"
    assert expected in _page(make_run()).text
    assert command(["a='$(b)'"]) == "python run.py 'a='\"'\"'$(b)'\"'\"''"


@pytest.mark.usefixtures("no_drawing")
def test_a_run_without_known_anomalies(make_run: RunFactory) -> None:
    keys = ["val/auroc_fused", "val/auroc_residual", "val/auroc_critic", "test/auroc_known", "objective"]
    folder = make_run(**dict.fromkeys(keys))
    page = _page(folder)
    assert page.tables["terms"][1][:3] == ["fused the score", "—", f"{_metrics(folder)['test/auroc']:.3f}"]
    assert ["AUROC, known kinds", "—"] in page.tables["decisions"]
    assert "None" not in page.text
    assert "nan" not in page.text.split()


@pytest.mark.usefixtures("no_drawing")
def test_a_method_that_cannot_reconstruct(make_run: RunFactory) -> None:
    page = _page(make_run(images_only=True))
    alts = page.attributes("alt")
    assert any(alt.startswith("Input of eight, score ") for alt in alts)
    assert not any(alt.startswith(("Reconstruction", "Difference")) for alt in alts)
    assert "makes no reconstructions" in page.text


@pytest.mark.usefixtures("no_drawing")
def test_a_run_that_scored_nothing(make_run: RunFactory) -> None:
    folder = make_run(images_only=True)
    (folder / "scores.csv").unlink()
    kept = {"data": "digits", "model": "gan", "seed": 0, "test/auroc": None, "train/images_seen": 100}
    (folder / "metrics.json").write_text(json.dumps(kept))
    page = _page(folder)
    assert "scored no test images" in page.text
    assert set(page.tables) == {"classes", "metrics"}


def test_one_image_per_class(make_run: RunFactory) -> None:
    page = _page(make_run(n_per_class=1))
    assert "The test set is small (3 normal and 3 anomalous)" in page.text


@pytest.mark.parametrize("label", [0, 1])
def test_a_test_set_of_one_label(make_run: RunFactory, label: int) -> None:
    folder = make_run(**{"test/auroc": None})
    header, *lines = (folder / "scores.csv").read_text().splitlines()
    rows = [line for line in lines if (",eight," in line) == (label == 0)]
    (folder / "scores.csv").write_text("\n".join([header, *rows]))
    page = _page(folder)
    assert "is not defined" in page.text
    assert not (folder / "figures" / "roc.png").exists()
    assert (folder / "figures" / "histogram.png").exists()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30, 1e300])
def test_scores_of_any_size(make_run: RunFactory, scale: float) -> None:
    run = read_run(make_run(scale=scale))
    for chart in result_charts(run):
        assert render(chart.drawing, DARK, chart.height).startswith(b"\x89PNG")
    assert ("finds 0 of 60 anomalies" in verdict(run).sentences[1]) == (scale == 0)


@pytest.mark.usefixtures("no_drawing")
def test_what_was_measured_on_pixels(make_run: RunFactory) -> None:
    page = _page(make_run(masks=True))
    assert [row[1] for row in page.tables["pixels"]] == ["0.877", "0.346", "0.0123"]
    assert "true masks of 1,100 test images" in page.text
    alts = [alt.split(" of ")[0] for alt in page.attributes("alt") if ", the defect outlined" in alt]
    assert alts == ["Input", "Difference"] * 4  # of 3 anomalies and 2 misses one has no mask
    assert "A dark line with a light one around it" in page.text


@pytest.mark.usefixtures("no_drawing")
def test_a_run_from_before_pixels_and_thresholds_of_terms(make_run: RunFactory) -> None:
    folder = make_run()
    metrics = {key: value for key, value in _metrics(folder).items() if not key.startswith("val/threshold_")}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    page = _page(folder)
    rows = {row[0]: row[1:] for row in page.tables["terms"][1:]}
    assert (rows["fused the score"][3], rows["critic"][3]) == (f"{metrics['test/f1']:.3f}", "—")
    assert "pixels" not in page.tables
    assert "A dark line" not in page.text


OPTIONAL = ["scores.csv", "metrics.csv", "data.json", "examples.npz", "figures", ".hydra"]


@pytest.mark.parametrize("missing", [*([name] for name in OPTIONAL), OPTIONAL])
@pytest.mark.usefixtures("no_drawing")
def test_optional_files_may_be_missing(make_run: RunFactory, missing: list[str]) -> None:
    folder = make_run()
    for name in missing:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert f"AUROC {_metrics(folder)['test/auroc']:.3f}" in _page(folder).text


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No metrics\.json in .* finished run \(run=FOLDER\)"):
        write_report(tmp_path)


@pytest.mark.usefixtures("no_drawing")
def test_colour_images(make_run: RunFactory) -> None:
    folder = make_run()
    with np.load(folder / "examples.npz") as arrays:
        kept = dict(arrays)
    for name in ("images", "reconstructions"):
        kept[name] = np.repeat(kept[name], 3, axis=1)
    np.savez(folder / "examples.npz", **kept)
    assert "Reconstruction of" in " ".join(_page(folder).attributes("alt"))
