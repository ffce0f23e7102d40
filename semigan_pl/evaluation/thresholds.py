"""Where to cut a score in two, decided on validation."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_curve


def youden_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Threshold with the largest TPR - FPR, halfway between the two scores that it separates (Youden 1950).

    Chosen over the best F1 since it does not depend on the share of anomalies, which in validation (known ones
    against the pool) has nothing to do with the share among new images. Hidden contamination in the pool lowers
    1 - FPR for all thresholds alike, and so hardly moves it.
    """
    false_positives, true_positives, cuts = roc_curve(labels, scores, drop_intermediate=False)
    best = int(np.argmax(true_positives - false_positives))
    if not np.isfinite(cuts[best]):  # nothing separates: call nothing anomalous
        return float(scores.max())
    # there is always a score below: the cut under which none lies calls everything anomalous and has J = 0
    return float((cuts[best] + scores[scores < cuts[best]].max()) / 2)


def decision_threshold(scores: np.ndarray, labels: np.ndarray, quantile: float) -> float:
    """Youden's threshold where validation has known anomalies (label 1), else the `quantile` of the pool's scores."""
    if labels.any():
        return youden_threshold(scores.astype(np.float64), labels)
    return float(np.quantile(scores.astype(np.float64), quantile))
