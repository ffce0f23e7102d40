"""Training curves in `metrics.csv`, one row per logged step, first column images_seen."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from semigan_pl.atomic import replacing
from semigan_pl.loggers.base import RunLogger


class CurveLogger(RunLogger):
    """Appends to `folder/metrics.csv`, and goes on in the file of an earlier session of the same run.

    (Lightning's CSVLogger deletes the earlier file, and counts by global_step.)
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._rows: list[dict[str, Any]] | None = None

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's folder holds the config already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Adds a row, or to the row of the same `step`, which is images_seen. Rows of an interrupted session beyond it
        are forgotten."""
        if self._rows is None:
            self._rows = [row for row in self._read() if int(row["images_seen"]) < (step or 0)]
            self._write()
        columns, same = self._columns(), bool(self._rows) and self._rows[-1]["images_seen"] == step
        if same:
            self._rows[-1] |= metrics
        else:
            self._rows.append({"images_seen": step, **metrics})
        if same or self._columns() != columns:
            self._write()
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, columns).writerow(self._rows[-1])

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._rows or [] for name in row))

    def _write(self) -> None:
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns())
            writer.writeheader()
            writer.writerows(self._rows or [])
