"""What a checkpoint says of itself, so that it can decide on new images without the folder it was made in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, Trainer


class RunRecord(Callback):
    """Adds the run's config and the data's facts to every checkpoint, as plain containers.

    Args:
        config: the composed config, interpolations unresolved.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        # by training or calibration, of whatever was taken over too: never to be tested on
        used = np.unique(np.concatenate([*data.splits[:-1], data.seen_before]))
        checkpoint["data"] = {**data.summary(), "used": torch.from_numpy(used)}
