"""ROC curve and histogram of one run for each setting, and what every run's ranking of its test images is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_curve

from semigan_pl.evaluation.delong import Ranked, ranked
from semigan_pl.report.charts import histogram_edges
from semigan_pl.report.sweep_files import ImageScores, SweepRun, read_scores
from semigan_pl.report.sweep_settings import Settings

POINTS = 120  # of a curve: it is drawn about 400 px wide
MOST_CURVES = 200  # settings


class Curves(NamedTuple):
    """What one run's scores look like."""

    run: int
    false_alarms: list[float]
    found: list[float]
    edges: list[float]  # of the bins
    normal: list[float]  # share of the normal images in each bin
    anomalous: list[float]
    is_log: bool
    threshold: float | None


class Scored(NamedTuple):
    """What was found in the scores.csv of all runs."""

    rankings: dict[int, Ranked]  # by run
    curves: dict[int, Curves]  # by setting
    notes: dict[int, str]  # by run: why its scores are not used


def read_all_scores(runs: Sequence[SweepRun], settings: Settings) -> Scored:
    """Reads the scores of every compared run once; keeps curves of one run for each of the first MOST_CURVES settings.

    That run is the one with the median AUROC, the lower one of two: neither the luckiest nor the unluckiest seed.
    """
    rankings, curves, notes = dict[int, Ranked](), dict[int, Curves](), dict[int, str]()
    for place, group in enumerate(settings.groups):
        there = dict[int, ImageScores]()
        for run in group.runs:
            try:
                there[run] = read_scores(runs[run].folder)
            except (OSError, ValueError) as error:
                notes[run] = "it has no scores.csv" if isinstance(error, FileNotFoundError) else str(error)
                continue
            if (ranking := ranked(*there[run])) is not None:
                rankings[run] = ranking
        by_auroc = sorted((run for run in there if run in rankings), key=lambda run: rankings[run].auroc)
        if by_auroc and place < MOST_CURVES:
            median = by_auroc[(len(by_auroc) - 1) // 2]
            curves[place] = curves_of(median, there[median], runs[median].number("test/threshold"))
    return Scored(rankings, curves, notes)


def curves_of(run: int, scores: ImageScores, threshold: float | None) -> Curves:
    """Both curves with as many points as one can see."""
    false_alarms, found, _ = roc_curve(scores.labels, scores.scores)
    shown = evenly(false_alarms, found)
    edges, is_log = histogram_edges(scores.scores, threshold)
    inside = np.clip(scores.scores, edges[0], edges[-1])  # what lies beyond the axis goes to the end bins
    shares = [
        np.histogram(inside[scores.labels == label], edges)[0] / np.sum(scores.labels == label) for label in (0, 1)
    ]
    normal, anomalous = (_short(share) for share in shares)
    return Curves(
        run, _short(false_alarms[shown]), _short(found[shown]), _short(edges, 6), normal, anomalous, is_log, threshold
    )


def evenly(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of at most POINTS points at about equal distances along a curve, both ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    places: np.ndarray = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)).clip(max=len(x) - 1))
    return places


def _short(values: np.ndarray, digits: int = 4) -> list[float]:
    """As numbers that take few letters."""
    return [float(f"{value:.{digits}g}") for value in values]


def same_images(runs: Sequence[int], rankings: Mapping[int, Ranked]) -> bool:
    """Whether all of these runs scored the same test images."""
    return all(run in rankings for run in runs) and all(
        rankings[run].same_images(rankings[runs[0]]) for run in runs[1:]
    )
