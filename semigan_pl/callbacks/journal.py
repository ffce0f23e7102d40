"""Scores on disk as they come, so that a killed validation or test goes on where it stopped."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from semigan_pl.atomic import write_bytes
from semigan_pl.callbacks.scored import Scored
from semigan_pl.evaluation.scores import ScoreTable

FOLDER = "scoring"  # in the run's folder, until the run is finished
SHARE = 0.05  # of the time at most goes into writing states (ours)


class Journal:
    """What one process scores in one session, in two files that only it writes.

    `<path>.rows` grows by the rows of every batch. `<path>.state`, replaced as a whole now and then, holds what cannot
    be worked out from rows (examples, counts of pixels) and how many rows it goes with. Only these count when the run
    is continued: images behind them are scored again, so that rows, examples and pixels always belong together.

    Args:
        path: of the files, without suffix; there must be none yet.
        key: says under which conditions these scores came about, see `conditions`.
        seconds: between two states, more where writing one takes long; 0: a state after every batch.
    """

    def __init__(self, path: Path, key: str, seconds: float) -> None:
        self.rows, self.state = path.with_suffix(".rows"), path.with_suffix(".state")
        self.key = key
        self.seconds = seconds
        self.n_rows = 0
        self._columns: list[tuple[str, str]] = []
        self._file: BinaryIO | None = None
        self._due = time.monotonic() + seconds

    def append(self, table: ScoreTable, scored: Scored) -> None:
        """Writes the rows of one batch, and from time to time the state of all that was `scored`, this batch included.

        Raises OSError, with the file's name, where there is no room for them.
        """
        columns = {"index": table.indices, "label": table.labels, **table.terms}
        if self._file is None:
            self._columns = [(name, values.dtype.str) for name, values in columns.items()]
        rows = np.empty(len(table.indices), dtype=self._columns)
        for name, values in columns.items():
            rows[name] = values
        with naming(self.rows):
            if self._file is None:
                self.rows.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.rows.open("xb")
            self._file.write(rows.tobytes())
            self._file.flush()
        self.n_rows += len(rows)
        if time.monotonic() >= self._due:
            self.keep(scored)

    def keep(self, scored: Scored) -> None:
        """Writes the state that goes with all rows so far."""
        if self._file is None:
            return
        start = time.monotonic()
        content = io.BytesIO()  # torch itself raises no OSError where the disk is full
        said = {"key": self.key, "columns": self._columns, "n_rows": self.n_rows}
        torch.save(said | {"scored": scored.state()}, content)
        with naming(self.rows):
            os.fsync(self._file.fileno())  # never a state without its rows
        with naming(self.state):
            write_bytes(self.state, content.getvalue())
        took = time.monotonic() - start
        self._due = start + max(self.seconds, took / SHARE) if self.seconds else 0.0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def recovered(folder: Path, split: str, key: str, examples: int) -> Scored:
    """What earlier sessions scored of a split under the same conditions; files that are of no use are removed."""
    together = Scored(examples)
    for rows in sorted(folder.glob(f"{split}-*.rows")):
        found = _read(rows, key, examples)
        if found is None or np.isin(found.positions, together.positions).any():  # two runs at once in one folder
            rows.with_suffix(".state").unlink(missing_ok=True)
            rows.unlink(missing_ok=True)
        else:
            together.merge(found)
    return together


def _read(path: Path, key: str, examples: int) -> Scored | None:
    """What a session scored, read as data only; None where it is damaged or came about under other conditions."""
    try:
        content = torch.load(path.with_suffix(".state"), map_location="cpu", weights_only=True)
        if content["key"] != key:
            return None
        rows = np.fromfile(path, [tuple(column) for column in content["columns"]], count=content["n_rows"])
        scored = Scored(examples)
        scored.restore(content["scored"])
        columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
        scored.tables = [ScoreTable(columns.pop("index"), columns.pop("label"), columns)]
    except Exception:  # torch raises all kinds of them on a damaged file
        return None
    return scored if len(rows) == content["n_rows"] else None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Says which file it was that could not be written: a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
