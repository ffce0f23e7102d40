"""Scores of a whole data split, gathered and put in order, and the numbers that a run reports about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from semigan_pl.evaluation.metrics import at_threshold, auroc
from semigan_pl.evaluation.pixels import PixelCounts

Metric = Callable[[np.ndarray, np.ndarray], float | None]


class ScoreTable(NamedTuple):
    """One row per image, ordered by index."""

    indices: np.ndarray  # (N,) position in the data set
    labels: np.ndarray  # (N,) 1 = anomalous (test) or known to be (validation)
    terms: dict[str, np.ndarray]  # (N,) each

    @classmethod
    def gather(cls, parts: list[ScoreTable]) -> ScoreTable:
        """Joins the tables of batches and processes: in order of index, every image once."""
        indices = np.concatenate([part.indices for part in parts])
        _, first = np.unique(indices, return_index=True)  # sorted, and images seen by two processes counted once
        return cls(
            indices[first],
            np.concatenate([part.labels for part in parts])[first],
            {name: np.concatenate([part.terms[name] for part in parts])[first] for name in parts[0].terms},
        )


def decide(scores: np.ndarray, threshold: float) -> np.ndarray:
    """1 where a score lies above the threshold. In float64: NumPy would round the threshold to float32 scores."""
    decisions: np.ndarray = (scores.astype(np.float64) > threshold).astype(np.int64)
    return decisions


def summarize_validation(table: ScoreTable, score: str) -> dict[str, float | None]:
    """Known anomalies against the unlabelled pool: `val/auroc_<term>` of every term, `val/auroc` of the score."""
    areas = {f"val/auroc_{name}": auroc(table.labels, values) for name, values in table.terms.items()}
    return {**areas, "val/auroc": areas[f"val/auroc_{score}"]}


def summarize_test(
    table: ScoreTable,
    score: str,
    threshold: float,
    classes: np.ndarray,
    known_classes: list[str],
    metrics: Mapping[str, Metric],
) -> dict[str, float | None]:
    """All `test/...` numbers of a run.

    Args:
        classes: (N,) class name of each row.
        known_classes: anomalous classes that known anomalies may come from; the others are unseen until test.
        metrics: threshold-free metrics of the chosen score, by name.
    """
    labels, scores = table.labels, table.terms[score]
    normal = labels == 0

    def area_against_normal(anomalous: np.ndarray) -> float | None:
        rows = normal | anomalous
        return auroc(labels[rows], scores[rows])

    known = ~normal & np.isin(classes, known_classes)
    summary: dict[str, float | None] = {
        f"test/auroc_{name}": auroc(labels, values) for name, values in table.terms.items()
    }
    summary |= {f"test/{name}": metric(labels, scores) for name, metric in metrics.items()}
    summary |= {f"test/{name}": value for name, value in at_threshold(labels, decide(scores, threshold)).items()}
    summary |= {"test/threshold": threshold, "test/prevalence": float(labels.mean())}
    summary |= {
        "test/auroc_known": area_against_normal(known),
        "test/auroc_unseen": area_against_normal(~normal & ~known),
    }
    for name in sorted(set(classes[~normal])):
        summary[f"test/auroc_class/{name}"] = area_against_normal(~normal & (classes == name))
    return summary


def summarize_pixels(pixels: PixelCounts, n_images: int) -> dict[str, float | None]:
    """The `test/pixel_...` numbers: the anomaly maps of `n_images` test images against their true masks."""
    return {
        "test/pixel_auroc": pixels.auroc(),
        "test/pixel_average_precision": pixels.average_precision(),
        "test/pixel_prevalence": pixels.prevalence,
        "test/pixel_images": n_images,
    }
