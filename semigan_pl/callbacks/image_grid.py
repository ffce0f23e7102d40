"""Samples that a method draws over training, always from the same latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities import rank_zero_only
from torch.nn.functional import interpolate
from torchvision.utils import save_image

from semigan_pl.atomic import replacing
from semigan_pl.checks import whole
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.learned import LearnedModule


class ImageGrid(Callback):
    """Writes `figures/samples_<images_seen>.png` at regular distances and at the end, for a method that draws samples.

    Args:
        grids: how many over a whole training.
        images: samples per grid.
        max_images: length of the training.
        image_size: of the data, in pixels; samples of a growing generator are enlarged to it.
    """

    def __init__(self, grids: int, images: int, max_images: int, image_size: int) -> None:
        grids = whole("callbacks.image_grid.grids", grids, least=0)
        self.every = max(1, whole("max_images", max_images, least=0) // max(1, grids))
        self.images = whole("callbacks.image_grid.images", images, least=1)
        self.image_size = image_size
        self._next = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._next = (pl_module.images_seen // self.every + 1) * self.every

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.images_seen >= self._next:
            self._next += self.every
            self.save(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.save(trainer, pl_module)

    @rank_zero_only
    def save(self, trainer: Trainer, pl_module: AnomalyModule) -> None:
        samples = pl_module.samples(self.images) if isinstance(pl_module, LearnedModule) else None
        if samples is None:
            return
        samples = samples.clamp(-1, 1).cpu()
        path = Path(trainer.default_root_dir) / "figures" / f"samples_{pl_module.images_seen:09d}.png"
        if (times := self.image_size // samples.shape[-1]) > 1:  # samples of a low stage, large enough to be looked at
            samples = interpolate(samples, scale_factor=times, mode="nearest")
        with replacing(path) as partial:
            save_image(samples, partial, nrow=int(self.images**0.5), padding=1, normalize=True, value_range=(-1, 1))
