"""The last checkpoint of a run, so that a killed training loses at most a minute."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer

from semigan_pl.atomic import replacing
from semigan_pl.checks import number, whole, yes_or_no


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


def keep_as(path: Path, kept: Path) -> None:
    """A second name for the same content: `path` is replaced as a whole, never written into."""
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        with replacing(kept) as partial:
            shutil.copyfile(path, partial)


class PeriodicCheckpoint(Callback):
    """Saves between two training steps, when both players and all counters agree.

    (Under manual optimization Lightning's ModelCheckpoint never saves by time, and saves at no end of a training.)

    Args:
        seconds: between two checkpoints.
        images: unlabelled images between two checkpoints, wherever the clock stands; None: by the clock alone.
        keep: whether the checkpoints at every `images` stay, as `checkpoints/<images seen>.ckpt`.
    """

    def __init__(self, seconds: float, images: int | None, keep: bool) -> None:
        self.seconds = number("callbacks.checkpoint.seconds", seconds, above=0)
        self.images = None if images is None else whole("callbacks.checkpoint.images", images, least=1)
        self.keep = yes_or_no("callbacks.checkpoint.keep", keep)
        self._last = 0.0
        self._passed = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._last = time.monotonic()
        self._passed = self._marks_passed(pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        due = time.monotonic() - self._last >= self.seconds
        if trainer.world_size > 1:
            due = trainer.strategy.broadcast(due)  # one clock: every process has to save
        passed = self._marks_passed(pl_module)
        if due or passed > self._passed:
            saved = save_last(trainer)
            if self.keep and passed > self._passed and trainer.is_global_zero:
                keep_as(saved, saved.with_name(f"{pl_module.images_seen:09d}.ckpt"))
            self._last, self._passed = time.monotonic(), passed

    def _marks_passed(self, pl_module: Any) -> int:
        return pl_module.images_seen // self.images if self.images else 0

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        save_last(trainer)  # calibration takes its time, and might be interrupted
