"""Gathers what a detector says of validation and test images, calibrates it, and writes scores and examples."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from semigan_pl.atomic import replacing
from semigan_pl.callbacks.examples import Mask
from semigan_pl.callbacks.fingerprint import conditions
from semigan_pl.callbacks.journal import FOLDER, Journal, recovered
from semigan_pl.callbacks.scored import Scored
from semigan_pl.checks import number, whole
from semigan_pl.evaluation.scores import (
    Metric,
    ScoreTable,
    decide,
    summarize_pixels,
    summarize_test,
    summarize_validation,
)
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


class ScoreWriter(Callback):
    """Calibrates after validation and writes `validation.csv`; after the test writes `scores.csv` and `examples.npz`.
    Keeps the `metrics` of both.

    Where the data set says which pixels are defective, the anomaly maps are measured against them.

    What was scored is on disk as it comes. A validation or test that was interrupted takes it up again, on any number
    of processes, and only what is left is scored; weights, calibration or settings that are others start it anew.

    Args:
        examples: kept per kind (normal, anomalous, false alarm, missed).
        seconds: of work at most that a killed validation or test loses (more where keeping it takes long, see Journal);
            0: what is kept is written after every batch.
        metrics: threshold-free metrics of the chosen score, by name.
    """

    def __init__(self, examples: int, seconds: float, metrics: Mapping[str, Metric]) -> None:
        self.examples = whole("callbacks.score_writer.examples", examples, least=0)
        self.seconds = number("callbacks.score_writer.seconds", seconds, least=0)
        self.metric_functions = dict(metrics)
        self.metrics: dict[str, float | None] = {}
        self._earlier = self._own = Scored(self.examples)
        self._journal: Journal | None = None

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Takes up what earlier sessions have scored, before the loaders are made: they leave it out."""
        if stage not in ("validate", "test"):
            return
        split = "val" if stage == "validate" else "test"
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        folder, key = Path(trainer.default_root_dir) / FOLDER, conditions(trainer, pl_module, split)
        first = trainer.is_global_zero  # its word counts: all have to agree, and another may see the folder differently
        self._earlier = recovered(folder, split, key, self.examples) if first else Scored(self.examples)
        session, data.scored = trainer.strategy.broadcast((uuid4().hex[:8], self._earlier.positions))
        self._journal = Journal(folder / f"{split}-{session}-{trainer.global_rank}", key, self.seconds)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Closes its file. No state is written: the batch may have been taken in by half."""
        if self._journal is not None:
            self._journal.close()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._own = Scored(self.examples)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if outputs.anomaly_map is not None:
            self._own.pixels.add(_numpy(outputs.anomaly_map[batch.labels == 0]), False)
        table = as_table(batch, outputs)  # `fused` follows from the calibration, which this validation is for
        self._note(table._replace(terms={name: terms for name, terms in table.terms.items() if name != "fused"}))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        scored = self._gathered()
        table = scored.table
        pl_module.calibrate(table, scored.pixels.quantile(MAP_SHARE))
        own = {name: torch.from_numpy(values) for name, values in table.terms.items()}
        complete = pl_module.decision.complete(own, pl_module.calibration)
        table = table._replace(terms={name: values.numpy() for name, values in complete.items()})
        if trainer.is_global_zero:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            kinds = np.where(table.labels == 1, "known", "pool")  # a class would tell what the pool hides
            columns = {"kind": kinds, "score": table.terms[pl_module.decision.score]}
            write_scores(Path(trainer.default_root_dir) / "validation.csv", table, columns, data.path_of)
        self.metrics |= summarize_validation(table, pl_module.decision.score)
        self.metrics |= {f"val/threshold_{name}": cut for name, cut in pl_module.calibration.thresholds.items()}

    def on_test_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._own = Scored(self.examples)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        indices = batch.indices.tolist()
        places = [data.place_in_class(index) for index in indices]
        masks = [data.pixel_truth(index) for index in indices] if data.has_pixel_truth else None
        self._own.keeper.add(batch, outputs, places, pl_module.threshold, masks)
        if masks is not None and outputs.anomaly_map is not None:
            self._count_pixels(indices, masks, _numpy(outputs.anomaly_map)[:, 0])
        self._note(as_table(batch, outputs))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        scored = self._gathered()
        if not trainer.is_global_zero:
            return
        table = scored.table
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        classes = np.array([data.class_name_of(int(index)) for index in table.indices])
        folder = Path(trainer.default_root_dir)
        scored.keeper.save(folder / "examples.npz")
        known = data.summary()["known_classes"]
        score, threshold = pl_module.decision.score, pl_module.threshold
        scores = table.terms[score]
        columns = {"class": classes, "label": table.labels, "score": scores, "decision": decide(scores, threshold)}
        write_scores(folder / "scores.csv", table, columns, data.path_of)
        self.metrics |= summarize_test(table, score, threshold, classes, known, self.metric_functions)
        if n_images := len(scored.images_with_truth):
            self.metrics |= summarize_pixels(scored.pixels, n_images)

    def _count_pixels(self, indices: Sequence[int], masks: Sequence[Mask | None], maps: NDArray[np.float32]) -> None:
        """Adds the pixels of images whose truth is known, each image once."""
        for index, mask, values in zip(indices, masks, maps, strict=True):
            if mask is not None and index not in self._own.images_with_truth:
                self._own.images_with_truth.add(index)
                self._own.pixels.add(values, mask)

    def _note(self, table: ScoreTable) -> None:
        """Takes in the rows of a batch; its pixels and examples have been."""
        self._own.tables.append(table)
        if self._journal is not None:
            self._journal.append(table, self._own)

    def _gathered(self) -> Scored:
        """What all processes have scored, in this session and in earlier ones."""
        if self._journal is not None:
            self._journal.keep(self._own)
            self._journal.close()
        together = Scored(self.examples)
        for scored in chain(*gather([self._earlier, self._own])):
            together.merge(scored)
        self._earlier, self._own, self._journal = Scored(self.examples), Scored(self.examples), None
        return together


def write_scores(
    path: Path, table: ScoreTable, columns: Mapping[str, np.ndarray], path_of: Callable[[int], str]
) -> None:
    """Writes a row per image: its index, its path, the `columns`, and every term; numbers to the last bit."""
    indices = table.indices.tolist()
    values = [column.tolist() for column in (*columns.values(), *table.terms.values())]
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["index", "path", *columns, *table.terms])
        writer.writerows(zip(indices, map(path_of, indices), *values, strict=True))
