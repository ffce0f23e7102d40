"""The parts of a report one by one: verdict, histogram, pictures, files, terminal table."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from rich.console import Console

from semigan_pl.atomic import write_bytes
from semigan_pl.report import pictures, print_summary
from semigan_pl.report.charts import histogram_edges, running_median
from semigan_pl.report.figures import curve_charts, result_charts
from semigan_pl.report.run_files import Examples, read_run
from semigan_pl.report.style import DARK, LIGHT, plain, render
from semigan_pl.report.tables import Confusion, confusion
from semigan_pl.report.verdict import auroc_interval, verdict

RunFactory = Callable[..., Path]


def _printed(folder: Path, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(folder, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_table(make_run: RunFactory) -> None:
    folder = make_run()
    printed, metrics = _printed(folder), read_run(folder).metrics
    lines = [line.split() for line in printed.splitlines()]
    assert ["fused", "←", "the", "score", "0.954", f"{metrics['test/auroc']:.3f}"] in lines
    assert ["critic", "0.988", f"{metrics['test/auroc_critic']:.3f}"] in lines
    assert ["F1", "at", "the", "threshold", f"{metrics['test/f1']:.3f}"] in lines
    assert ["AUROC,", "unseen", "kinds", f"{metrics['test/auroc_unseen']:.3f}"] in lines
    assert "pixels" not in printed
    assert printed.rstrip().endswith(f"Report: {folder / 'report.html'}")


def test_the_terminal_table_without_known_anomalies(make_run: RunFactory) -> None:
    folder = make_run(**dict.fromkeys(["val/auroc_fused", "test/auroc_known"]), model="[bold]x[/nope]")
    lines = [line.split() for line in _printed(folder, width=60).splitlines()]
    assert ["fused", "←", "the", "score", "—", f"{read_run(folder).metrics['test/auroc']:.3f}"] in lines
    assert ["AUROC,", "known", "kinds", "—"] in lines


def test_the_terminal_table_of_a_run_with_masks(make_run: RunFactory) -> None:
    lines = [line.split() for line in _printed(make_run(masks=True)).splitlines()]
    assert ["AUROC", "of", "pixels", "0.877"] in lines
    assert ["average", "precision", "of", "pixels", "0.346"] in lines
    assert ["share", "of", "defective", "pixels", "0.012"] in lines


def test_the_interval_is_that_of_hanley_and_mcneil() -> None:
    low, high = auroc_interval(0.85, 50, 50)
    q1, q2 = 0.85 / 1.15, 2 * 0.7225 / 1.85
    error = np.sqrt((0.85 * 0.15 + 49 * (q1 - 0.7225) + 49 * (q2 - 0.7225)) / 2500)
    assert (low, high) == pytest.approx((0.85 - 1.96 * error, 0.85 + 1.96 * error))
    assert auroc_interval(1.0, 1, 1) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("auroc", "words"),
    [(0.999, "almost perfectly"), (0.91, " well ("), (0.72, "only in part"), (0.51, "guessing"), (0.2, "worse than")],
)
def test_the_verdict_follows_the_number(make_run: RunFactory, auroc: float, words: str) -> None:
    assert words in verdict(read_run(make_run(**{"test/auroc": auroc}))).sentences[0]


def test_the_verdict_names_what_speaks_against_the_run(make_run: RunFactory) -> None:
    changes = {"test/auroc": 0.8, "test/auroc_critic": 0.95, "test/auroc_known": 0.9, "test/auroc_unseen": 0.7}
    cautions = " ".join(verdict(read_run(make_run(**changes, **{"test/f1": 0.5}))).cautions)
    assert "AUROC 0.700, against 0.900 on the known kinds" in cautions
    assert "“critic” ranks these images better (AUROC 0.950)" in cautions
    assert "Its F1 (0.500) is no better than calling every image anomalous (0.667)" in cautions


def test_confusion_counts_every_image_once(make_run: RunFactory) -> None:
    scores = read_run(make_run()).scores
    assert scores is not None
    labels, decisions = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
    assert confusion(scores._replace(labels=labels, decisions=decisions)) == Confusion(2, 1, 1, 2)
    assert confusion(scores._replace(decisions=None)) is None


def test_outliers_do_not_squeeze_the_histogram() -> None:
    values = np.append(np.linspace(-1, 1, 1000), 1e12)
    edges, is_log = histogram_edges(values, threshold=1.5)
    assert not is_log
    assert edges[0] < -0.95
    assert 1.5 < edges[-1] < 2


def test_a_few_scores_are_all_inside_the_axis() -> None:
    edges, _ = histogram_edges(np.array([0.0, 1.0, 5.0]), threshold=None)
    assert edges[0] < 0
    assert edges[-1] > 5


def test_positive_scores_over_decades_are_drawn_on_a_logarithmic_axis() -> None:
    edges, is_log = histogram_edges(np.geomspace(1e-3, 1e3, 500), threshold=1.0)
    assert is_log
    np.testing.assert_allclose(edges[1:] / edges[:-1], edges[1] / edges[0])


def test_running_median_passes_over_a_spike() -> None:
    values = np.ones(200)
    values[100] = 1e9
    np.testing.assert_array_equal(running_median(values), np.ones(200))
    np.testing.assert_array_equal(running_median(np.array([3.0])), [3.0])


def test_pixels_stay_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    enlarged = pictures.sized(pixels)
    np.testing.assert_array_equal(enlarged, pixels.repeat(48, axis=0).repeat(48, axis=1))
    written = imread(io.BytesIO(pictures.png(enlarged)))[..., :3]
    np.testing.assert_array_equal(np.rint(written * 255), enlarged)


def test_a_huge_image_is_averaged() -> None:
    small = np.random.default_rng(0).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pictures.sized(small.repeat(4, axis=0).repeat(4, axis=1)), small)


def test_the_outline_is_thin_and_covers_no_pixel_of_the_defect() -> None:
    """24 px enlarged tenfold: strokes of 2 px about the square, black inside and white outside."""
    grey = np.full((24, 24, 3), 128, dtype=np.uint8)
    defect = np.zeros((24, 24), dtype=bool)
    defect[5:9, 10:12] = True
    drawn = pictures.sized(grey, defect)[..., 0]
    assert drawn.shape == (240, 240)
    expected = np.full((240, 240), 128)
    expected[46:94, 96:124] = 255
    expected[48:92, 98:122] = 0
    expected[50:90, 100:120] = 128
    np.testing.assert_array_equal(drawn, expected)


def test_a_defect_at_the_border_or_of_a_huge_image_is_outlined() -> None:
    defect = np.zeros((1024, 1024), dtype=bool)
    defect[0, :] = True  # as thin as can be, and kept when the image is shrunk
    drawn = pictures.sized(np.full((1024, 1024, 3), 128, dtype=np.uint8), defect)[:, 0, 0]
    assert drawn[:10].tolist() == [128] + [0] * 2 + [255] * 2 + [128] * 5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_widening_by_hand(width: int, seed: int) -> None:
    inside = np.random.default_rng(seed).random((7, 9)) < 0.1
    near = np.zeros_like(inside)
    for y, x in zip(*np.nonzero(inside), strict=True):
        near[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1] = True
    np.testing.assert_array_equal(pictures.widened(inside, width), near)


def test_only_known_defects_are_outlined() -> None:
    images, masks = np.zeros((3, 1, 8, 8), np.uint8), np.zeros((3, 8, 8), bool)
    masks[1:, 2:4, 2:4] = True
    parts = (np.arange(3), np.array(["missed"] * 3), images, images.astype(np.float32), images.astype(np.float32))
    examples = Examples(*parts, masks, np.array([True, True, False]))
    strokes = [
        {name: bool((tile == 255).any()) for name, tile in pictures.drawn_tiles(examples, row, 1.0).items()}
        for row in range(3)
    ]
    nothing = {"input": False, "reconstruction": False, "difference": False}
    assert strokes == [nothing, {"input": True, "reconstruction": False, "difference": True}, nothing]
    assert Examples(*parts).defect(1) is None


def test_tiles_show_the_values() -> None:
    levels = np.array([-1, 0, 1, 3], dtype=np.float32).reshape(1, 1, 2, 2)
    images = np.array([[[[0, 255], [7, 9]]]], dtype=np.uint8)
    examples = Examples(np.array([0]), np.array(["normal"]), images, levels, np.zeros((1, 1, 2, 2), np.float32))
    tiles = pictures.tiles(examples, 0, pictures.map_scale(examples))
    assert tiles["input"][..., 0].tolist() == [[0, 255], [7, 9]]
    assert tiles["reconstruction"][..., 2].tolist() == [[0, 128], [255, 255]]
    assert tiles["difference"].max() <= 4  # the black end of the colours


def test_names_are_drawn_as_they_stand() -> None:
    assert plain("a$b$") == r"a\$b\$"
    assert plain("x" * 30) == "x" * 23 + "…"
    assert plain(" \n ") == "(no name)"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page"
    write_bytes(path, b"old")

    def full(source: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_bytes(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("page", b"old")]


def test_a_truncated_line_of_the_curves_is_read_as_missing(make_run: RunFactory) -> None:
    folder = make_run()
    with (folder / "metrics.csv").open("a") as file:
        file.write("9999,1.5")
    curves = read_run(folder).curves
    assert curves["images_seen"][-1] == 9999
    assert np.isnan(curves["train/g_adversarial"][-1])


def test_the_health_of_a_training_has_its_charts(make_run: RunFactory) -> None:
    folder, step = make_run(), 120 * 64
    with (folder / "metrics.csv").open("w") as file:
        health = ["health/d_accuracy", "health/diversity", "health/swd_8", "health/swd_32", "health/swd_16"]
        file.write(",".join(["images_seen", "train/d_adversarial", "train/d_gradient", "train/g_gradient", *health]))
        file.write(f"\n64,1.3,0.2,0.3,,,,,\n{step},,,,0.7,0.9,0.1,,\n{2 * step},,,,0.6,1.0,,0.2,0.3\n")
    charts = {chart.name: chart for chart in curve_charts(read_run(folder))}
    names = ["discriminator", "gradient", "health_d_accuracy", "health_diversity", "health_swd"]
    assert list(charts) == [f"curves_{name}" for name in names]
    assert charts["curves_discriminator"].caption == "Loss of the discriminator: d_adversarial."
    assert charts["curves_gradient"].caption.endswith("norms: d_gradient, g_gradient.")
    assert "0.5 is guessing" in charts["curves_health_d_accuracy"].caption
    assert "collapsed" in charts["curves_health_diversity"].caption
    assert charts["curves_health_swd"].caption.endswith("Resolutions in pixels: 8, 32, 16.")
    assert all(render(chart.drawing, LIGHT, chart.height) for chart in charts.values())


def test_a_chart_is_the_same_twice_and_leaves_the_settings_alone(make_run: RunFactory) -> None:
    before = dict(matplotlib.rcParams)
    chart = next(result_charts(read_run(make_run())))
    assert render(chart.drawing, LIGHT) == render(chart.drawing, LIGHT)
    assert render(chart.drawing, LIGHT) != render(chart.drawing, DARK)
    assert dict(matplotlib.rcParams) == before


def test_the_terminal_says_how_many_images_have_pixel_truth(make_run: RunFactory) -> None:
    printed = " ".join(_printed(make_run(masks=True, **{"test/pixel_images": 70})).split())
    assert "Pixels are those of 70 of 120 test images: the normal ones, and the anomalous ones" in printed


def test_the_terminal_says_that_pixel_metrics_are_undefined(make_run: RunFactory) -> None:
    undefined = dict.fromkeys(["test/pixel_auroc", "test/pixel_average_precision"])
    printed = " ".join(_printed(make_run(masks=True, **undefined, **{"test/pixel_images": 60})).split())
    assert "Pixel metrics are undefined: 60 of 120 test images count for them, and no defective pixel is" in printed


@pytest.mark.parametrize("name", ["examples.npz", "metrics.json", "data.json"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_is_named(make_run: RunFactory, name: str, share: float) -> None:
    folder = make_run()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    remedy = "restore it, or train again" if name == "metrics.json" else "remove it"
    with pytest.raises(ValueError, match=rf"{folder / name} is damaged \(.*\): {remedy}"):
        read_run(folder)
    if name != "metrics.json":
        (folder / name).unlink()
        assert read_run(folder).metrics


def test_files_that_hold_something_else_are_damaged(make_run: RunFactory) -> None:
    folder = make_run()
    text = (folder / "scores.csv").read_text()
    (folder / "scores.csv").write_text(text.replace("images/7.png,eight,0", "images/7.png,eight"))
    with pytest.raises(ValueError, match=r"scores\.csv is damaged \(.*\): remove it"):
        read_run(folder)
    (folder / "scores.csv").unlink()
    (folder / "data.json").write_text("[]")
    with pytest.raises(ValueError, match=r"data\.json is damaged \(it holds a list\)"):
        read_run(folder)
