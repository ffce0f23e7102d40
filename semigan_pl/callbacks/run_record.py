"""What a checkpoint says of itself, so that it can decide on new images without the folder it was made in."""

from __future__ import annotations

from typing import Any

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
        checkpoint["data"] = trainer.datamodule.summary()  # type: ignore[attr-defined]
