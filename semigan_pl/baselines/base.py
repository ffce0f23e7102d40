"""What every classical baseline shares: points of unit length, a fit without labels, scores of old and new points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

Points = NDArray[np.float64]  # (N, D): a point is a row
State = dict[str, Any]  # arrays and numbers
N_FEATURES = "n_features"  # D of the points that were fitted


class Baseline(ABC):
    """A detector of outliers that fits a set of unlabelled points, outliers among them.

    Every point is scaled to unit l2 norm first, as all of these papers do. A zero vector has no direction and stays
    what it is: it lies in every subspace, where it scores 0, but resembles no point, which CoP and R-graph score
    highest. Scores are higher for outliers, and comparable between sets of different size.

    Attributes:
        own_scores: of the points that were fitted, as the method's paper scores them, (N,): the transductive protocol.
    """

    fitted: tuple[str, ...]  # attributes that `fit` makes and `anomaly_score` needs: arrays and numbers
    own_scores: Points
    n_features: int

    def fit(self, features: NDArray[Any]) -> Self:
        """Fits points (N, D). Raises ValueError unless there are at least two and all of their values are finite."""
        points = unit_length(features)
        if len(points) < 2:
            raise ValueError(f"{type(self).__name__} needs two points or more and got {len(points)}")
        if not points.any():
            raise ValueError("all features are zero: there is nothing to fit, use another network or its weights")
        self.n_features = points.shape[1]
        self._fit(points)
        return self

    def anomaly_score(self, features: NDArray[Any]) -> Points:
        """Scores of new points (M, D), (M,): each for itself, whatever the other rows are."""
        if not hasattr(self, self.fitted[0]):
            raise RuntimeError(f"{type(self).__name__} has not been fitted yet: call fit(features) first")
        points = unit_length(features)
        if points.shape[1] != self.n_features:
            raise ValueError(
                f"points of {points.shape[1]} features cannot be scored by a fit of points of {self.n_features}"
            )
        return self._score(points)

    def state(self) -> State:
        """What scoring needs, as arrays and numbers; empty before the fit."""
        return {name: getattr(self, name) for name in (N_FEATURES, *self.fitted) if hasattr(self, name)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what another one has fitted."""
        for name in (N_FEATURES, *self.fitted):  # and nothing else that a file may name
            if name in state:
                setattr(self, name, state[name])

    @abstractmethod
    def _fit(self, points: Points) -> None:
        """Fits points of unit length (N, D): sets `own_scores` and whatever `fitted` names."""

    @abstractmethod
    def _score(self, points: Points) -> Points:
        """Scores of new points of unit length (M, D), (M,)."""


def unit_length(features: NDArray[Any]) -> Points:
    """Points (N, D), each divided by its l2 norm; zero vectors stay zero. Raises ValueError where they are none."""
    points = np.asarray(features, dtype=np.float64)
    if points.ndim != 2 or not points.shape[1]:
        raise ValueError(f"features of shape {points.shape} are no points: give one row of numbers for each image")
    if not np.isfinite(points).all():
        raise ValueError("features hold values that are no numbers (inf or nan): use another network or its weights")
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.where(norms > 0, norms, 1)
