"""The progress bar of a training whose only epoch is the whole of it."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar

from semigan_pl.checks import whole


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without epochs and version numbers.

    Args:
        refresh_rate: batches of the training between two updates.
    """

    def __init__(self, refresh_rate: int) -> None:
        super().__init__(whole("callbacks.progress_bar.refresh_rate", refresh_rate, least=1))

    @property
    def refresh_rate(self) -> int:
        """Every batch of validation and test, which take seconds each; in training as configured."""
        trainer = getattr(self, "_trainer", None)
        return 1 if trainer is not None and trainer.evaluating else super().refresh_rate

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description("Training")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    @property
    def validation_description(self) -> str:
        return "Calibrating"

    @property
    def test_description(self) -> str:
        return "Testing"
