"""Growing: sets, from the images seen alone, which resolution the networks work at and how fast they learn."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, Trainer

from semigan_pl.checks import yes_or_no
from semigan_pl.growth import ProgressiveSchedule, Stage, grows, set_stage
from semigan_pl.methods.adversarial import PLAYERS, AdversarialModule


class Growth(Callback):
    """Follows a schedule during training; validation and test stand at full size. Comes before the other callbacks.

    Args:
        schedule: of the training; None: networks are at full size from the start, and nothing is done.
        reset_optimizers: whether both players forget their moments where a fade starts or ends (Karras et al. 2018);
            false keeps them.
    """

    def __init__(self, schedule: ProgressiveSchedule | None, reset_optimizers: bool) -> None:
        self.schedule = schedule
        self.reset_optimizers = yes_or_no("callbacks.growth.reset_optimizers", reset_optimizers)
        self._borders_passed = 0

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Raises ValueError if nothing of the method can grow, or if it would still grow when its encoder learns."""
        if self.schedule is None:
            return
        if not getattr(pl_module, "grows", True):
            raise ValueError(f"the networks of model={pl_module.name} do not grow: add growth=none")
        if not grows(pl_module):
            raise ValueError(
                "growth needs networks that grow: network@model.generator=progressive_generator"
                " network@model.discriminator=progressive_discriminator, or growth=none"
            )
        if isinstance(pl_module, AdversarialModule) and pl_module.encodes_at(self.schedule.total_images - 1):
            raise ValueError(
                "model.gan_checkpoint brings networks that have grown: add growth=none"
                if pl_module.gan_checkpoint is not None
                else "growing has to be over where the encoder begins to learn: set both by encoder_share alone"
            )

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.schedule is not None:
            self._borders_passed = self.schedule.borders_passed(pl_module.images_seen)
            self._follow(self.schedule, trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.schedule is None:
            return
        passed = self.schedule.borders_passed(pl_module.images_seen)
        if passed != self._borders_passed and self.reset_optimizers:
            for optimizer in trainer.optimizers[: len(PLAYERS)]:
                optimizer.state.clear()
        self._borders_passed = passed
        self._follow(self.schedule, trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._at_full_size(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._at_full_size(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._at_full_size(pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._at_full_size(pl_module)

    def _follow(self, schedule: ProgressiveSchedule, trainer: Trainer, pl_module: Any) -> None:
        set_stage(pl_module, schedule.at(pl_module.images_seen))
        rate = schedule.phase(pl_module.images_seen).lr
        for optimizer in trainer.optimizers[: len(PLAYERS)]:  # an encoder has a learning rate of its own
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _at_full_size(self, pl_module: Any) -> None:
        if self.schedule is not None:
            set_stage(pl_module, Stage(self.schedule.phases[-1].resolution))
