"""What every method shares: inspecting images, calibrating, deciding."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from semigan_pl.checks import whole
from semigan_pl.evaluation.calibration import Calibration, Decision
from semigan_pl.evaluation.scores import ScoreTable
from semigan_pl.latent_search import filled, frozen
from semigan_pl.types import Batch, Inspection, Prediction, cut, join


class AnomalyModule(LightningModule, ABC):
    """A detector: it inspects images, and once calibrated on validation it decides.

    `images_seen` counts unlabelled training images, over all processes; it is the only clock. Never count by
    `trainer.global_step`: under manual optimization it counts every optimizer's steps.

    Args:
        name: of the method, as its yaml is called.
        decision: which term decides, and how.
        block_size: images inspected at a time, always exactly so many.
    """

    terms: tuple[str, ...]  # names of what `inspect` returns: a class of a method states them
    reads_features = False  # whether `features` are of use to it

    def __init__(self, name: str, decision: Decision, block_size: int) -> None:
        super().__init__()
        decision.check(self.terms)
        self.name = name
        self.block_size = whole("block_size", block_size, least=1)
        self.decision = decision
        self.calibration: Calibration | None = None
        self.images_seen = 0
        self.batches_seen = 0

    def check_known(self, n_known: int) -> None:
        """Raises ValueError if the method cannot be trained with so many known anomalies."""

    def fetch(self, cache: Path, check_unseen: Callable[[dict[str, Any]], None]) -> None:
        """Brings what comes from elsewhere, such as pretrained weights; not called where a checkpoint has brought it.

        Args:
            cache: folder for what is worth keeping from one run to the next.
            check_unseen: raises ValueError if a checkpoint with this content was trained on images that are tested.
        """

    def check_new_images(self) -> None:
        """Raises ValueError if the method can only score the images that its run has tested."""

    @abstractmethod
    def inspect(self, images: Tensor) -> Inspection:
        """Terms, anomaly map and reconstruction of images (N, C, H, W) in [-1, 1], each image for itself."""

    def predict(self, images: Tensor) -> Prediction:
        """Inspects images (N, C, H, W) and picks the score; `fused` exists after calibration."""
        with frozen(self), torch.autocast(self.device.type, enabled=False):  # scores are float32 however one trains
            inspection = join([self._inspect_block(block) for block in images.split(self.block_size)])
        terms = self.decision.complete(inspection.terms, self.calibration)
        # before calibration `fused` cannot exist; what it starts from stands in, and nothing is decided yet
        score = terms[self.decision.score if self.decision.score in terms else self.decision.search or ""]
        return Prediction(score, terms, inspection.anomaly_map, inspection.reconstruction)

    def _inspect_block(self, block: Tensor) -> Inspection:
        """Inspects at most `block_size` images, filled up to exactly that many.

        Measured: convolutions and matrix products of 3 and of 64 images differ in the last bits (the library picks
        other kernels for other shapes); those of equal shapes do not, wherever an image stands in the batch.
        """
        return cut(self.inspect(filled(block, self.block_size)), len(block))

    def inspection_seconds(self, images: Tensor) -> float:
        """How long one block of images takes; a method whose inspection is long measures a part of it."""
        with frozen(self):  # in eval mode: asking for the time must not move a running statistic
            start = time.perf_counter()
            self._inspect_block(images[: self.block_size])
            return time.perf_counter() - start

    def calibrate(self, validation: ScoreTable, map_scale: float | None = None) -> None:
        """Fixes fusion and thresholds on validation scores (known anomalies: label 1), and keeps the maps' scale."""
        own = {name: values for name, values in validation.terms.items() if name != "fused"}
        self.calibration = self.decision.calibrate(own, validation.labels)._replace(map_scale=map_scale)

    @property
    def threshold(self) -> float:
        """Scores above it are called anomalous. Raises RuntimeError before calibration."""
        if self.calibration is None:
            raise RuntimeError("this model is not calibrated yet: run it on validation data first")
        return self.calibration.thresholds[self.decision.score]

    def judge(self, batch: Batch) -> Prediction:
        """The answers on a batch of validation or test, whose labels are none of its business."""
        return self.predict(batch.images)

    def validation_step(self, batch: Batch, batch_idx: int) -> Any:  # a Prediction
        return self.judge(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Any:  # a Prediction
        return self.judge(batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:  # a Prediction
        return self.predict(batch.images)

    def get_extra_state(self) -> dict[str, Any]:
        """Counters and calibration travel in the state dict, as plain numbers."""
        return {
            "images_seen": self.images_seen,
            "batches_seen": self.batches_seen,
            "calibration": None if self.calibration is None else self.calibration.state(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.images_seen, self.batches_seen = state["images_seen"], state["batches_seen"]
        self.calibration = None if state["calibration"] is None else Calibration(**state["calibration"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Where training stands is `images_seen`; Lightning's own loop counters would only contradict it."""
        checkpoint.pop("loops", None)
