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


def from_levels(levels: Tensor) -> Tensor:
    """Grey levels 0..255 (uint8) as the float32 in [-1, 1] that networks see."""
    return levels.float().div_(127.5).sub_(1)


def to_levels(images: Tensor) -> Tensor:
    """Images in [-1, 1] as grey levels 0..255 (uint8)."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def join(parts: list[Inspection]) -> Inspection:
    """Joins the inspections of consecutive blocks, in order."""
    first = parts[0]

    def together(values: list[Tensor | None]) -> Tensor | None:
        return torch.cat([value for value in values if value is not None]) if values[0] is not None else None

    return Inspection(
        terms={name: torch.cat([part.terms[name] for part in parts]) for name in first.terms},
        anomaly_map=together([part.anomaly_map for part in parts]),
        reconstruction=together([part.reconstruction for part in parts]),
    )


def cut(inspection: Inspection, n: int) -> Inspection:
    """The inspection of the first `n` images."""
    return Inspection(
        terms={name: values[:n] for name, values in inspection.terms.items()},
        anomaly_map=None if inspection.anomaly_map is None else inspection.anomaly_map[:n],
        reconstruction=None if inspection.reconstruction is None else inspection.reconstruction[:n],
    )
