"""The last checkpoint of a run, so that a killed training loses at most a minute."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer

from semigan_pl.checks import number


def save_last(trainer: Trainer) -> Path:
    """Writes `checkpoints/last.ckpt` of the run's folder, whole or not at all. To be called on every process."""
    path = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    partial = path.with_name(".last.partial.ckpt")
    try:
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, path)
    except OSError as error:  # a full disk: the last whole checkpoint stays, and nothing half takes up room
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


class PeriodicCheckpoint(Callback):
    """Saves between two training steps, when both players and all counters agree.

    (Under manual optimization Lightning's ModelCheckpoint never saves by time, and saves at no end of a training.)

    Args:
        seconds: between two checkpoints.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = number("callbacks.checkpoint.seconds", seconds, above=0)
        self._last = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        due = time.monotonic() - self._last >= self.seconds
        if trainer.world_size > 1:
            due = trainer.strategy.broadcast(due)  # one clock: every process has to save
        if due:
            save_last(trainer)
            self._last = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        save_last(trainer)  # calibration takes its time, and might be interrupted
