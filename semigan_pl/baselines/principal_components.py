"""Principal components of points: fewer dimensions for methods that want more points than dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from typing_extensions import Self

from semigan_pl.checks import whole


class PrincipalComponents:
    """Projects points (N, D) onto the leading eigenvectors of their covariance, their mean removed.

    Args:
        components: how many are kept; fewer where the points do not span so many.
    """

    def __init__(self, components: int) -> None:
        self.components = whole("features.components", components, least=1)

    def fit(self, points: NDArray[Any]) -> Self:
        """Learns mean and directions from points (N, D)."""
        n = min(self.components, len(points) - 1, points.shape[1])
        # a random solver would give other last bits on another machine; both of these are exact
        solver = "full" if len(points) < 10 * points.shape[1] else "covariance_eigh"
        found = PCA(max(1, n), svd_solver=solver).fit(np.asarray(points, dtype=np.float64))
        self.mean, self.directions = found.mean_, np.ascontiguousarray(found.components_)
        return self

    def transform(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates (M, K) of points (M, D)."""
        coordinates: NDArray[np.float64] = (points - self.mean) @ self.directions.T
        return coordinates

    def state(self) -> dict[str, Any]:
        """Mean and directions; empty before the fit."""
        return {"mean": self.mean, "directions": self.directions} if hasattr(self, "mean") else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what another one has learned."""
        if state:
            self.mean, self.directions = state["mean"], state["directions"]
