"""Which charts a run's page shows, and the words that go with each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from semigan_pl.report import charts
from semigan_pl.report.run_files import RunFiles, Scores
from semigan_pl.report.style import HEIGHT, Drawing
from semigan_pl.report.tables import class_aurocs, has_both_labels, number

MOST_CURVES = 8
COUNTERS = {"images_seen", "epoch", "step"}  # columns of metrics.csv that only count
PLAYERS = {"d_": "discriminator", "g_": "generator", "e_": "encoder", "a_": "autoencoder"}
DISTANCES = "health/swd"  # and the resolution: one unit, so one chart
GRADIENTS = "gradient"  # what the norms of both players' gradients end with
CAPTIONS = {  # of charts of several columns, whose names follow
    "discriminator": "Loss of the discriminator: ",
    "generator": "Loss of the generator: ",
    "encoder": "Loss of the encoder, once the GAN is trained: ",
    GRADIENTS: "Health: how large the gradients are, as norms: ",
    DISTANCES: "Health: sliced Wasserstein distance of generated and training images; 0 is no difference of structure. "
    "Resolutions in pixels: ",
}
EXPLANATIONS = {
    "health/d_accuracy": "Health: how often the discriminator ranks a real image above a generated one. 0.5 is "
    "guessing, 1 tells them all apart.",
    "health/diversity": "Health: how diverse the generated images are. 1 is as diverse as the training images, near 0 "
    "the generator has collapsed.",
}


class Chart(NamedTuple):
    """A chart still to be drawn; `name` is its file in figures/."""

    name: str
    drawing: Drawing
    alt: str
    caption: str
    height: float = HEIGHT


def result_charts(run: RunFiles) -> Iterator[Chart]:
    """What the test showed: as many charts as are defined."""
    if run.scores is not None and has_both_labels(run.scores):
        yield from _trade_offs(run, run.scores)
    if run.scores is not None:
        yield _histogram(run, run.scores)
    if class_aurocs(run):
        yield _classes(run, class_aurocs(run))


def curve_charts(run: RunFiles) -> Iterator[Chart]:
    """Columns of one unit share a chart: a player's losses, gradients, distances. Any other has one of its own."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for column, values in run.curves.items():
        if column not in COUNTERS and np.isfinite(values).any():
            name = column.removeprefix("train/")
            groups.setdefault(_group(name), {})[name.removeprefix(f"{DISTANCES}_")] = values
    for group, columns in list(groups.items())[:MOST_CURVES]:
        file_name = "curves_" + "".join(letter if letter.isalnum() else "_" for letter in group)
        names = ", ".join(columns)
        caption = f"{CAPTIONS[group]}{names}." if group in CAPTIONS else EXPLANATIONS.get(group, group)
        alt = f"{group if group == DISTANCES else names} over the images seen in training."
        yield Chart(file_name, charts.training_curves(run.curves["images_seen"], columns), alt, caption, 2.9)


def _group(name: str) -> str:
    if name.startswith(DISTANCES):
        return DISTANCES
    return GRADIENTS if name.endswith(f"_{GRADIENTS}") else PLAYERS.get(name[:2], name)


def _trade_offs(run: RunFiles, scores: Scores) -> Iterator[Chart]:
    has_decisions = " The circle is the decision at the threshold." if scores.decisions is not None else ""
    auroc, average_precision = number(run.number("test/auroc")), number(run.number("test/average_precision"))
    yield Chart(
        "roc",
        charts.roc(scores, run.chosen),
        f"ROC curves of all score terms; the score {run.chosen} has AUROC {auroc}.",
        f"ROC on the test set.{has_decisions}",
    )
    yield Chart(
        "precision_recall",
        charts.precision_recall(scores, run.chosen),
        f"Precision over recall of all score terms; the score {run.chosen} has average precision {average_precision}.",
        "Precision and recall. The level line is guessing: the share of anomalies in the test set.",
    )


def _histogram(run: RunFiles, scores: Scores) -> Chart:
    threshold = run.number("test/threshold")
    words = "no threshold" if threshold is None else f"the threshold at {threshold:.4g}"
    return Chart(
        "histogram",
        charts.histogram(scores, threshold),
        f"Histogram of the scores of normal and of anomalous test images, with {words}.",
        "Scores of the test images, each label as shares of its own images.",
    )


def _classes(run: RunFiles, aurocs: dict[str, float]) -> Chart:
    hardest = min(aurocs, key=lambda name: aurocs[name])
    shown = min(len(aurocs), charts.MOST_CLASSES)
    which = "the hardest first" if shown == len(aurocs) else f"the {shown} hardest of {len(aurocs)}"
    return Chart(
        "classes",
        charts.class_dots(aurocs, set(run.data.get("known_classes") or [])),
        f"AUROC by kind of anomaly; the hardest is {hardest} with {aurocs[hardest]:.3f}.",
        f"Each kind of anomaly against the normal images, {which}.",
        max(HEIGHT, 0.8 + 0.2 * shown),
    )
