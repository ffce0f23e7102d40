"""Exponential moving average of generators: what samples, searches and scores are made with."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import nn

from semigan_pl.checks import number
from semigan_pl.methods.learned import LearnedModule


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * current, weights and running statistics alike.

    The running statistics of BatchNorm are averaged too: those of the latest generator would not fit averaged weights.
    """
    for mean, value in zip(average.state_dict().values(), current.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


class GeneratorEMA(Callback):
    """Keeps the `averages` of a method. (Lightning's own averaging would average all players.)

    Args:
        half_life: of the average, in unlabelled images seen; early in training a twentieth of what has been seen, so
            that the random first weights are forgotten at once.
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = number("callbacks.generator_ema.half_life", half_life, above=0)
        self._images_seen = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._images_seen = pl_module.images_seen

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        before, self._images_seen = self._images_seen, pl_module.images_seen
        pairs = pl_module.averages() if isinstance(pl_module, LearnedModule) else []
        if not pairs:
            return
        half_life = min(self.half_life, pl_module.images_seen / 20)
        pl_module.averaged = True
        for average, current in pairs:
            update_average(average, current, 0.5 ** ((pl_module.images_seen - before) / half_life))
