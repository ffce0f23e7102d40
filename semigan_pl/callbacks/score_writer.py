"""Gathers what a detector says of validation and test images, calibrates it, and writes scores and examples."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed
from pytorch_lightning import Callback, Trainer

from semigan_pl.atomic import replacing
from semigan_pl.callbacks.examples import ExampleKeeper
from semigan_pl.evaluation.scores import Metric, ScoreTable, decide, summarize_test, summarize_validation
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import Batch, Prediction

T = TypeVar("T")


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


class ScoreWriter(Callback):
    """Calibrates after validation; after the test writes `scores.csv` and `examples.npz`, and keeps the `metrics`.

    Args:
        examples: kept per kind (normal, anomalous, false alarm, missed).
        metrics: threshold-free metrics of the chosen score, by name.
    """

    def __init__(self, examples: int, metrics: Mapping[str, Metric]) -> None:
        self.examples = examples
        self.metric_functions = dict(metrics)
        self.metrics: dict[str, float | None] = {}
        self._parts: list[ScoreTable] = []
        self._keeper = ExampleKeeper(examples)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._parts = []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._parts.append(as_table(batch, outputs))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        table = self._gathered()
        pl_module.calibrate(table)
        own = {name: torch.from_numpy(values) for name, values in table.terms.items()}
        complete = pl_module.decision.complete(own, pl_module.calibration)
        terms = {name: values.numpy() for name, values in complete.items()}
        self.metrics |= summarize_validation(table._replace(terms=terms), pl_module.decision.score)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._parts, self._keeper = [], ExampleKeeper(self.examples)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._parts.append(as_table(batch, outputs))
        classes = [trainer.datamodule.class_name_of(int(index)) for index in batch.indices]  # type: ignore[attr-defined]
        self._keeper.add(batch, outputs, classes, pl_module.threshold)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        table = self._gathered()
        keepers = gather(self._keeper)
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
