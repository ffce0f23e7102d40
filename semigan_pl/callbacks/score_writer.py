"""Gathers what a detector says of validation and test images, calibrates it, and writes scores and examples."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from semigan_pl.atomic import replacing
from semigan_pl.callbacks.examples import ExampleKeeper, Mask
from semigan_pl.checks import whole
from semigan_pl.evaluation.pixels import PixelCounts
from semigan_pl.evaluation.scores import (
    Metric,
    ScoreTable,
    decide,
    summarize_pixels,
    summarize_test,
    summarize_validation,
)
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import Batch, Prediction

T = TypeVar("T")
MAP_SHARE = 0.995  # of the pool's pixels lie under the calibrated scale of the anomaly map


def gather(part: T) -> list[T]:
    """The parts of all processes, on every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [part]
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, part)
    return parts


def as_table(batch: Batch, prediction: Prediction) -> ScoreTable:
    """The rows of one batch."""
    return ScoreTable(
        batch.indices.cpu().numpy(),
        batch.labels.cpu().numpy(),
        {name: values.detach().cpu().numpy() for name, values in prediction.terms.items()},
    )


def _numpy(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().cpu().numpy()
    return array


def merged(parts: list[PixelCounts]) -> PixelCounts:
    """The pixels of all processes together."""
    together = PixelCounts()
    for part in parts:
        together.merge(part)
    return together


class ScoreWriter(Callback):
    """Calibrates after validation; after the test writes `scores.csv` and `examples.npz`, and keeps the `metrics`.

    Where the data set says which pixels are defective, the anomaly maps are measured against them.

    Args:
        examples: kept per kind (normal, anomalous, false alarm, missed).
        metrics: threshold-free metrics of the chosen score, by name.
    """

    def __init__(self, examples: int, metrics: Mapping[str, Metric]) -> None:
        self.examples = whole("callbacks.score_writer.examples", examples, least=0)
        self.metric_functions = dict(metrics)
        self.metrics: dict[str, float | None] = {}
        self._forget()

    def _forget(self) -> None:
        self._parts: list[ScoreTable] = []
        self._keeper = ExampleKeeper(self.examples)
        self._pixels = PixelCounts()
        self._images_with_truth: set[int] = set()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._forget()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._parts.append(as_table(batch, outputs))
        if outputs.anomaly_map is not None:
            self._pixels.add(_numpy(outputs.anomaly_map[batch.labels == 0]), False)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        table = self._gathered()
        pl_module.calibrate(table, merged(gather(self._pixels)).quantile(MAP_SHARE))
        own = {name: torch.from_numpy(values) for name, values in table.terms.items()}
        complete = pl_module.decision.complete(own, pl_module.calibration)
        terms = {name: values.numpy() for name, values in complete.items()}
        self.metrics |= summarize_validation(table._replace(terms=terms), pl_module.decision.score)
        self.metrics |= {f"val/threshold_{name}": cut for name, cut in pl_module.calibration.thresholds.items()}

    def on_test_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._forget()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        indices = batch.indices.tolist()
        self._parts.append(as_table(batch, outputs))
        classes = [data.class_name_of(index) for index in indices]
        masks = [data.pixel_truth(index) for index in indices] if data.has_pixel_truth else None
        self._keeper.add(batch, outputs, classes, pl_module.threshold, masks)
        if masks is not None and outputs.anomaly_map is not None:
            self._count_pixels(indices, masks, _numpy(outputs.anomaly_map)[:, 0])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        table = self._gathered()
        keepers, pixels, with_truth = gather(self._keeper), gather(self._pixels), gather(self._images_with_truth)
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        classes = np.array([data.class_name_of(int(index)) for index in table.indices])
        folder = Path(trainer.default_root_dir)
        self._write(folder / "scores.csv", table, classes, pl_module, data)
        self._keeper.merge(keepers)
        self._keeper.save(folder / "examples.npz")
        known = data.summary()["known_classes"]
        score, threshold = pl_module.decision.score, pl_module.threshold
        self.metrics |= summarize_test(table, score, threshold, classes, known, self.metric_functions)
        if n_images := len(set().union(*with_truth)):
            self.metrics |= summarize_pixels(merged(pixels), n_images)

    def _count_pixels(self, indices: Sequence[int], masks: Sequence[Mask | None], maps: NDArray[np.float32]) -> None:
        """Adds the pixels of images whose truth is known, each image once."""
        for index, mask, values in zip(indices, masks, maps, strict=True):
            if mask is not None and index not in self._images_with_truth:
                self._images_with_truth.add(index)
                self._pixels.add(values, mask)

    def _gathered(self) -> ScoreTable:
        return ScoreTable.gather([table for parts in gather(self._parts) for table in parts])

    def _write(self, path: Path, table: ScoreTable, classes: np.ndarray, module: AnomalyModule, data: Any) -> None:
        scores = table.terms[module.decision.score]
        with (
            replacing(path) as partial,
            partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["index", "path", "class", "label", "score", "decision", *table.terms])
            decisions = decide(scores, module.threshold)
            for row, index in enumerate(table.indices.tolist()):
                terms = [repr(float(values[row])) for values in table.terms.values()]
                score, label = repr(float(scores[row])), int(table.labels[row])
                writer.writerow([index, data.path_of(index), classes[row], label, score, decisions[row], *terms])
