"""Exact metrics of raw scores: from all gathered scores at once, no sigmoid, no bins, no min-max.

Every function takes labels (N,) 0/1 and scores (N,), higher = more anomalous, and returns None where the metric is not
defined because one of the two classes is absent.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score


def has_both_classes(labels: np.ndarray) -> bool:
    """Whether there is at least one normal and one anomalous image."""
    return bool(labels.any() and not labels.all())


def auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that an anomaly scores above a normal image, ties counted half."""
    return float(roc_auc_score(labels, scores)) if has_both_classes(labels) else None


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision, anomalies positive (a step-wise sum, no interpolation)."""
    return float(average_precision_score(labels, scores)) if has_both_classes(labels) else None


def f1_max(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Largest F1 over all thresholds, anomalies positive. It looks at the test labels: for published tables only."""
    if not has_both_classes(labels):
        return None
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def f1_max_inlier(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Largest F1 over all thresholds with inliers as the positive class, as published Caltech-256 tables have it."""
    return f1_max(1 - labels, -scores)


def at_threshold(labels: np.ndarray, decisions: np.ndarray) -> dict[str, float | None]:
    """F1, precision, recall and accuracy of 0/1 decisions, anomalies positive; None where a denominator is 0."""
    hits = int(np.sum((decisions == 1) & (labels == 1)))
    called, present = int(decisions.sum()), int(labels.sum())
    return {
        "f1": 2 * hits / (called + present) if called + present else None,
        "precision": hits / called if called else None,
        "recall": hits / present if present else None,
        "accuracy": float(np.mean(decisions == labels)) if len(labels) else None,
    }
