"""What a run asks of each of its loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger


class RunLogger(Logger):
    """A Lightning logger that counts in images_seen, is shown the finished run once, and is closed whatever happened.

    `log_metrics(metrics, step)` takes images_seen as the step. Lightning's own `finalize` comes after each of fit,
    validate and test: it is no end of the run.
    """

    @property
    def name(self) -> str:
        """Nothing: checkpoints and other files of the run are placed by the config, not by its loggers."""
        return ""

    @property
    def version(self) -> str:
        return ""

    def log_run(self, folder: Path, metrics: dict[str, Any]) -> None:
        """Shows a run whose report is written; `metrics` is what metrics.json says or will say."""

    def close(self) -> None:
        """Ends the run; one that was not shown by `log_run` ends as failed."""
