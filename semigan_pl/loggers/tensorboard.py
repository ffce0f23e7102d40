"""A run in TensorBoard: curves against images seen, the figures, the sample grids, the numbers at the end."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from semigan_pl.loggers.base import RunLogger
from semigan_pl.loggers.contents import figures, images_seen, numbers, samples
from semigan_pl.report.run_files import read_run

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardEvents(RunLogger):
    """Writes event files into `folder/tensorboard`; a continued run hides what its interrupted session wrote beyond.

    Raises ValueError where the package tensorboard is missing.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        if find_spec("tensorboard") is None:
            raise ValueError("logger=tensorboard needs a package that is not here: pip install tensorboard")
        self.folder = Path(folder) / "tensorboard"
        self._config = ""
        self._writer: SummaryWriter | None = None

    def _opened(self, step: int | None) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(str(self.folder), purge_step=step if self.folder.is_dir() else None)
            self._writer.add_text("config", f"```yaml\n{self._config}\n```", step or 0)
        return self._writer

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Kept for the first row, which tells where the run goes on."""
        self._config = OmegaConf.to_yaml(vars(params) if isinstance(params, Namespace) else params)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """`step` is images_seen."""
        writer = self._opened(step)
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    @rank_zero_only
    def log_run(self, folder: Path, metrics: dict[str, Any]) -> None:
        end, run = images_seen(metrics), read_run(folder, metrics)
        writer = self._opened(end)
        for count, path in samples(run).items():
            writer.add_image("samples", _pixels(path), count, dataformats="HWC")
        for name, path in figures(run).items():
            writer.add_image(f"figures/{name}", _pixels(path), end, dataformats="HWC")
        for name, value in numbers(metrics).items():
            writer.add_scalar(name, value, end)

    @rank_zero_only
    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
