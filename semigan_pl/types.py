"""The words that everybody shares: what a batch is and what a detector says of an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Images of one step; in training the unlabelled images and the known anomalies together."""

    images: Tensor  # (N, C, H, W) in [-1, 1]
    labels: Tensor  # (N,) 0/1: known anomalies in training and validation, the truth in test
    indices: Tensor  # (N,) position in the data set, so that gathered results can be put in order and counted once

    @property
    def unlabelled(self) -> Tensor:
        """Images that nobody labelled, (N, C, H, W): believed normal, possibly contaminated."""
        return self.images[self.labels == 0]

    @property
    def known_anomalies(self) -> Tensor:
        """Images labelled as anomalous, (M, C, H, W); M may be 0."""
        return self.images[self.labels == 1]


class Inspection(NamedTuple):
    """What a method itself finds out about images, before calibration."""

    terms: dict[str, Tensor]  # name -> (N,), raw, higher is more anomalous
    anomaly_map: Tensor | None = None  # (N, 1, H, W), >= 0; None where the method has no opinion on pixels
    reconstruction: Tensor | None = None  # (N, C, H, W) in [-1, 1]; None where the method does not reconstruct


class Prediction(NamedTuple):
    """A detector's answer. Nothing in it depends on the rest of the batch."""

    score: Tensor  # (N,) raw, higher is more anomalous: the one term that decides
    terms: dict[str, Tensor]  # every term, (N,) each, `fused` among them once the detector is calibrated
    anomaly_map: Tensor | None  # (N, 1, H, W)
    reconstruction: Tensor | None  # (N, C, H, W)


def concatenate(predictions: list[Prediction]) -> Prediction:
    """Joins the predictions of consecutive batches, in order."""
    first = predictions[0]
    return Prediction(
        score=torch.cat([p.score for p in predictions]),
        terms={name: torch.cat([p.terms[name] for p in predictions]) for name in first.terms},
        anomaly_map=None if first.anomaly_map is None else torch.cat([p.anomaly_map for p in predictions]),  # type: ignore[misc]
        reconstruction=None
        if first.reconstruction is None
        else torch.cat([p.reconstruction for p in predictions]),  # type: ignore[misc]
    )
