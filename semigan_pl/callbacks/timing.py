"""How long a run takes: announced early, measured at the end."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, Trainer
from torch import Tensor

from semigan_pl.checks import number, whole
from semigan_pl.growth import ProgressiveSchedule
from semigan_pl.methods.base import AnomalyModule


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 3.2 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def images_to_score(trainer: Trainer) -> int:
    """Images of validation and test, over all processes."""
    splits = trainer.datamodule.splits  # type: ignore[attr-defined]
    return len(splits.val) + len(splits.val_known) + len(splits.test)


def seconds_of_scoring(trainer: Trainer, module: AnomalyModule, images: Tensor) -> float:
    """How long validation and test will take, from one block of `images` (N, C, H, W)."""
    blocks = images_to_score(trainer) / module.block_size / trainer.world_size
    return module.inspection_seconds(images) * blocks


class Timing(Callback):
    """Seconds of training (over all sessions of a run) and of testing, for `metrics.json`."""

    def __init__(self) -> None:
        self.train_seconds = 0.0
        self.test_seconds = 0.0
        self._last: float | None = None
        self._test_start = 0.0

    def _tick(self) -> None:
        now = time.perf_counter()
        self.train_seconds += now - self._last if self._last is not None else 0.0
        self._last = now

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._tick()

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._tick()  # what is fitted at once has had no batch
        self._last = None

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._test_start = time.perf_counter()

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.test_seconds = time.perf_counter() - self._test_start

    def state_dict(self) -> dict[str, float]:
        return {"train_seconds": self.train_seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.train_seconds = state_dict["train_seconds"]


class TimeEstimate(Callback):
    """After the first seconds of training, prints how long training and scoring will take.

    Args:
        after_seconds: of training, the first batch (which is slow) not counted.
        max_images: length of the training.
        schedule: of growing networks, whose phases take different times: see Rehearsal. Then nothing is printed here.
    """

    def __init__(self, after_seconds: float, max_images: int, schedule: ProgressiveSchedule | None) -> None:
        self.after_seconds = number("callbacks.time_estimate.after_seconds", after_seconds, least=0)
        self.max_images = whole("max_images", max_images, least=0)
        self._start: tuple[float, int] | None = None
        self._done = schedule is not None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._done:
            return
        now = time.perf_counter()
        if self._start is None:
            self._start = (now, pl_module.images_seen)
            return
        seconds, images = now - self._start[0], pl_module.images_seen - self._start[1]
        if seconds < self.after_seconds:
            return
        self._done = True
        if trainer.is_global_zero:  # trainer.print alone would say it on every machine
            trainer.print(self.announce(trainer, pl_module, images / seconds, batch))

    def announce(self, trainer: Trainer, pl_module: AnomalyModule, images_per_second: float, batch: Any) -> str:
        """The sentence; scoring is timed on a block of unlabelled training images."""
        training = max(0, self.max_images - pl_module.images_seen) / images_per_second
        to_score = images_to_score(trainer)
        scoring = seconds_of_scoring(trainer, pl_module, batch.unlabelled)
        return (
            f"About {duration(training + scoring)} to go: training at {images_per_second:,.0f} images/s takes "
            f"{duration(training)}, then scoring {to_score:,} images {duration(scoring)}."
        )
