"""What a detector learns from validation: how to compare its terms, how to fuse them, and where to decide.

Validation holds the unlabelled pool (labelled 0 though some of it is secretly anomalous) and a few known anomalies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from semigan_pl.checks import number, share, shown
from semigan_pl.evaluation.thresholds import decision_threshold


class Calibration(NamedTuple):
    """Numbers fixed on validation; plain floats, so that a checkpoint can hold them."""

    centers: dict[str, float]  # median of each term over the pool
    scales: dict[str, float]  # robust standard deviation of each term over the pool
    thresholds: dict[str, float]  # per term: anomalous means score > threshold
    map_scale: float | None = None  # level of the anomaly map that the pool's pixels seldom exceed; None without maps

    def standardised(self, name: str, values: Tensor) -> Tensor:
        """Term `name` in robust standard deviations from the pool's median, (N,)."""
        return (values - self.centers[name]) / self.scales[name]

    def state(self) -> dict[str, Any]:
        """As a plain dict; `Calibration(**state)` reverses it."""
        return dict(self._asdict())


def robust_scale(values: np.ndarray) -> float:
    """1.4826 * median absolute deviation: the standard deviation of normal data, deaf to a few contaminated images.

    Falls back to the plain deviation, then to 1, where more than half of the values are equal.
    """
    if np.ptp(values) == 0:  # not `std() == 0`: the mean of equal floats is rounded
        return 1.0
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) or float(values.std())


@dataclass(frozen=True)
class Decision:
    """How a method decides.

    Args:
        score: the term that decides.
        search: the term that `fused` starts from; null: no fusion.
        critic: the term that may raise it.
        margin: robust deviations above the pool's median from which on the critic is heard.
        quantile: share of the validation pool under the threshold when there are no known anomalies.
    """

    score: str
    search: str | None
    critic: str | None
    margin: float
    quantile: float

    def __post_init__(self) -> None:
        number("model.decision.margin", self.margin)
        share("model.decision.quantile", self.quantile, above_zero=True)

    def calibrate(self, terms: Mapping[str, np.ndarray], labels: np.ndarray) -> Calibration:
        """Fixes centers, scales and thresholds on validation. terms: (N,) each; labels (N,): 1 = known anomaly."""
        pool = {name: values[labels == 0] for name, values in terms.items()}
        if any(len(values) == 0 for values in pool.values()):
            raise ValueError("validation holds no unlabelled image to calibrate on: raise data.validation_share")
        centers = {name: float(np.median(values)) for name, values in pool.items()}
        scales = {name: robust_scale(values) for name, values in pool.items()}
        raw = Calibration(centers, scales, {})
        complete = self.complete({name: torch.from_numpy(values) for name, values in terms.items()}, raw)
        thresholds = {
            name: decision_threshold(values.numpy(), labels, self.quantile) for name, values in complete.items()
        }
        return raw._replace(thresholds=thresholds)

    def complete(self, terms: Mapping[str, Tensor], calibration: Calibration | None) -> dict[str, Tensor]:
        """Adds `fused` to a method's own terms once there is a calibration.

        fused = s(search) + relu(s(critic) - margin), s in robust deviations. The critic is nearly perfect on kinds of
        anomaly that it was shown and worse than chance on others, and validation holds only known kinds, so nothing
        measured there can tell how far to trust it: it may raise a score and never lower it.
        """
        if calibration is None or self.search is None or self.critic is None:
            return dict(terms)
        search = calibration.standardised(self.search, terms[self.search])
        critic = calibration.standardised(self.critic, terms[self.critic])
        return {**terms, "fused": search + torch.relu(critic - self.margin)}

    def names(self, terms: Sequence[str]) -> list[str]:
        """Names of a method's own terms and of `fused`, if there is one."""
        return [*terms, *(["fused"] if self.search and self.critic else [])]

    def check(self, terms: Sequence[str]) -> None:
        """Raises ValueError if the decision names a term that the method does not have."""
        for option, name, possible in (
            ("score", self.score, self.names(terms)),
            ("search", self.search, terms),
            ("critic", self.critic, terms),
        ):
            if name not in possible and (name is not None or option == "score"):
                raise ValueError(
                    f"model.decision.{option}={shown(name)} is no term of this method: use one of {list(possible)}"
                )
