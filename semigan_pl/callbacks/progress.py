"""The progress bar of a training whose only epoch is the whole of it, and of validation and test in images."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar

from semigan_pl.checks import whole
from semigan_pl.methods.learned import LearnedModule

IMAGES_FORMAT = "{l_bar}{bar}| {n:,}/{total:,} images [{elapsed}<{remaining}, {rate_noinv_fmt}]"


class ProgressBar(TQDMProgressBar):
    """Lightning's bar without epochs and version numbers; validation and test count images, over all processes.

    Args:
        refresh_rate: batches of the training between two updates.
    """

    def __init__(self, refresh_rate: int) -> None:
        super().__init__(whole("callbacks.progress_bar.refresh_rate", refresh_rate, least=1))

    def init_train_tqdm(self) -> Any:
        """None to be seen where nothing is learned step by step."""
        bar = super().init_train_tqdm()
        return bar if isinstance(self.trainer.lightning_module, LearnedModule) else type(bar)(disable=True)

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description("Training")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        encoder = {name: value for name, value in metrics.items() if name.startswith("e_")}
        return encoder or metrics  # once it moves, the players' last losses only take up room

    def init_validation_tqdm(self) -> Any:
        splits = self.trainer.datamodule.splits  # type: ignore[attr-defined]
        return self._counting_images(super().init_validation_tqdm(), len(splits.val) + len(splits.val_known))

    def init_test_tqdm(self) -> Any:
        return self._counting_images(super().init_test_tqdm(), len(self.trainer.datamodule.splits.test))  # type: ignore[attr-defined]

    def _counting_images(self, bar: Any, total: int) -> Any:
        """Begins behind what earlier sessions have scored."""
        bar.unit, bar.smoothing, bar.bar_format = " images", 0, IMAGES_FORMAT
        bar.total, bar.initial = total, len(self.trainer.datamodule.scored)  # type: ignore[attr-defined]
        bar.n = bar.initial
        bar.refresh()
        return bar

    def on_validation_batch_start(self, *_: Any, **__: Any) -> None:
        """Lightning would count batches from here on."""

    def on_test_batch_start(self, *_: Any, **__: Any) -> None:
        """Lightning would count batches from here on."""

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self._advance(self.val_progress_bar, len(batch.indices))

    def on_test_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self._advance(self.test_progress_bar, len(batch.indices))

    def _advance(self, bar: Any, images: int) -> None:
        """The first process has its share of the images, and the one left over: the others are taken to be as far."""
        bar.update(min(images * self.trainer.world_size, bar.total - bar.n))

    @property
    def validation_description(self) -> str:
        return "Calibrating"

    @property
    def test_description(self) -> str:
        return "Testing"
