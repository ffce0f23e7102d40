"""Principal components of points: fewer dimensions for methods that want more points than dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from semigan_pl.baselines.subspace import column_space
from semigan_pl.checks import whole


class PrincipalComponents:
    """Projects points (N, D) onto the leading eigenvectors of their second moments, X^T X / N.

    Their mean stays (ours): what follows are subspaces through the origin, and with all components it would then see
    the same angles as without. Centred, points near the mean could point anywhere once they are scaled to unit length.

    Args:
        components: how many are kept; fewer where the points do not span so many.
    """

    def __init__(self, components: int) -> None:
        self.components = whole("features.components", components, least=1)

    def fit(self, points: NDArray[Any]) -> Self:
        """Learns directions from points (N, D). Raises ValueError where all of them are zero."""
        self.directions = column_space(np.asarray(points, dtype=np.float64)).basis[:, : self.components].copy()
        return self

    def transform(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates (M, K) of points (M, D)."""
        coordinates: NDArray[np.float64] = points @ self.directions
        return coordinates

    def state(self) -> dict[str, Any]:
        """The directions; empty before the fit."""
        return {"directions": self.directions} if hasattr(self, "directions") else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what another one has learned."""
        if state:
            self.directions = state["directions"]
