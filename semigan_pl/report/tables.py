"""The numbers of a run, arranged for people: score terms, decisions, classes."""

from typing import NamedTuple

import numpy as np

from semigan_pl.evaluation.metrics import at_threshold, average_precision, f1_max, has_both_classes
from semigan_pl.evaluation.scores import decide
from semigan_pl.report.run_files import RunFiles, Scores

SPLITS = {  # name in data.json -> heading
    "train": "train",
    "train_known": "train, known",
    "val": "val",
    "val_known": "val, known",
    "test": "test",
}


class Term(NamedTuple):
    """One score term; None where a number is not defined."""

    name: str
    is_chosen: bool
    auroc_val: float | None
    auroc_test: float | None
    average_precision: float | None
    f1: float | None  # at the term's own threshold
    f1_max: float | None


class Confusion(NamedTuple):
    """Counts of test images at the threshold."""

    found: int  # anomalous, called anomalous
    missed: int  # anomalous, called normal
    false_alarms: int  # normal, called anomalous
    passed: int  # normal, called normal

    @property
    def n_anomalous(self) -> int:
        return self.found + self.missed

    @property
    def n_normal(self) -> int:
        return self.false_alarms + self.passed


class Pixels(NamedTuple):
    """The anomaly maps against the true masks."""

    auroc: float | None
    average_precision: float | None
    prevalence: float | None
    n_images: int


class ClassRow(NamedTuple):
    """One class of the data set: its images in each split, and how well it is told from normal ones."""

    name: str
    role: str
    counts: list[int]
    auroc: float | None


def number(value: float | None, digits: int = 3) -> str:
    """A metric as text; a dash where it is not defined."""
    return "—" if value is None else f"{value:.{digits}f}"


def score_terms(run: RunFiles) -> list[Term]:
    """Every score term, the chosen one first."""
    rows = []
    for name in run.terms:
        is_chosen = name == run.chosen
        others = _from_scores(run, name)
        if is_chosen:
            others = run.number("test/average_precision"), run.number("test/f1"), run.number("test/f1_max")
        rows.append(Term(name, is_chosen, run.number(f"val/auroc_{name}"), run.number(f"test/auroc_{name}"), *others))
    return sorted(rows, key=lambda term: not term.is_chosen)


def has_both_labels(scores: Scores | None) -> bool:
    """Whether curves and ranks are defined at all."""
    return scores is not None and has_both_classes(scores.labels)


def confusion(scores: Scores | None) -> Confusion | None:
    """Counts by label and decision; None where nothing was decided."""
    if scores is None or scores.decisions is None:
        return None
    anomalous, called = scores.labels == 1, scores.decisions == 1
    cells = (anomalous & called, anomalous & ~called, ~anomalous & called, ~anomalous & ~called)
    return Confusion(*(int(np.sum(cell)) for cell in cells))


def pixels(run: RunFiles) -> Pixels | None:
    """What was measured pixel by pixel; None where the data set has no masks or the method no maps."""
    n_images = run.number("test/pixel_images")
    if n_images is None:
        return None
    auroc, precision = run.number("test/pixel_auroc"), run.number("test/pixel_average_precision")
    return Pixels(auroc, precision, run.number("test/pixel_prevalence"), int(n_images))


def class_aurocs(run: RunFiles) -> dict[str, float]:
    """AUROC of each anomalous class for which it is defined."""
    prefix = "test/auroc_class/"
    values = {key.removeprefix(prefix): run.number(key) for key in run.metrics if key.startswith(prefix)}
    return {name: value for name, value in values.items() if value is not None}


def class_table(run: RunFiles) -> tuple[list[str], list[ClassRow]]:
    """Names of the splits, and a row for each class that has an image in one of them, normal classes first."""
    counts: dict[str, dict[str, int]] = run.data.get("counts") or {}
    splits = [name for name in SPLITS if name in counts] + [name for name in counts if name not in SPLITS]
    aurocs, rows = class_aurocs(run), []
    for name in dict.fromkeys(name for split in splits for name in counts[split]):
        in_splits = [int(counts[split].get(name, 0)) for split in splits]
        if any(in_splits):
            rows.append(ClassRow(name, _role(run, name), in_splits, aurocs.get(name)))
    rows.sort(key=lambda row: row.role != "normal")
    return [SPLITS.get(split, split) for split in splits], rows


def _role(run: RunFiles, name: str) -> str:
    if name in run.data.get("normal_classes", []):
        return "normal"
    return "known anomaly" if name in run.data.get("known_classes", []) else "anomaly"


def _from_scores(run: RunFiles, term: str) -> tuple[float | None, float | None, float | None]:
    """Average precision, F1 at its threshold and best F1 of a term that is not the method's score.

    metrics.json does not hold them; runs of old do not hold the threshold either.
    """
    scores, threshold = run.scores, run.number(f"val/threshold_{term}")
    if scores is None or term not in scores.terms or not has_both_labels(scores):
        return None, None, None
    labels, values = scores.labels, scores.terms[term]
    f1 = None if threshold is None else at_threshold(labels, decide(values, threshold))["f1"]
    return average_precision(labels, values), f1, f1_max(labels, values)
