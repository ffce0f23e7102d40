"""A run's scores as the rows of charts: its ROC, and how the scores of each kind of image are spread."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_curve

from semigan_pl.report.charts import histogram_edges
from semigan_pl.report.run_files import RunFiles, Scores
from semigan_pl.report.sweep_curves import evenly

NORMAL, ALL, KNOWN, UNSEEN = "normal", "all anomalies", "known kinds", "unseen kinds"


Rows = list[tuple[str, float, float]]  # the kind of image, across, up; a line for each kind


def kinds(run: RunFiles, scores: Scores) -> dict[str, np.ndarray]:
    """Kind of anomaly -> its images, (n,) bool; known and unseen kinds apart where the test set has both."""
    anomalous = scores.labels == 1
    known = anomalous & np.isin(scores.classes, list(run.data.get("known_classes") or []))
    unseen = anomalous & ~known
    parts = {KNOWN: known, UNSEEN: unseen} if known.any() and unseen.any() else {}
    return {ALL: anomalous, **parts} if anomalous.any() else {}


def roc_rows(run: RunFiles) -> Rows:
    """Each kind of anomaly against the normal images, by the run's own score; no rows without both labels."""
    scores = run.scores
    if scores is None or not (normal := scores.labels == 0).any():
        return []
    rows = Rows()
    for kind, images in kinds(run, scores).items():
        kept = images | normal
        false_alarms, found, _ = roc_curve(scores.labels[kept], scores.score[kept])
        shown = evenly(false_alarms, found)
        rows += [(kind, float(x), float(y)) for x, y in zip(false_alarms[shown], found[shown], strict=True)]
    return rows


def histogram_rows(run: RunFiles) -> Rows:
    """Shares of the normal images and of each kind of anomaly by score, at the middle of each bin."""
    scores = run.scores
    if scores is None:
        return []
    edges, _ = histogram_edges(scores.score, run.number("test/threshold"))
    inside = np.clip(scores.score, edges[0], edges[-1])  # what lies beyond the axis goes to the end bins
    found = kinds(run, scores)
    drawn = {kind: images for kind, images in found.items() if kind != ALL or len(found) == 1}
    if (normal := scores.labels == 0).any():
        drawn = {NORMAL: normal, **drawn}
    rows = Rows()
    for kind, images in drawn.items():
        shares = np.histogram(inside[images], edges)[0] / images.sum()
        middles = (edges[:-1] + edges[1:]) / 2
        rows += [(kind, float(x), float(y)) for x, y in zip(middles, shares, strict=True)]
    return rows
