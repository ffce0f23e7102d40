"""A table that grows on disk row by row, written by several processes at once, and goes on growing after a kill."""

from __future__ import annotations

import csv
import json
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.atomic import replacing, write_json

# Names of files need not be text: in here every one of them comes back as it was, in the whole table as people can see.
EXACT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogatepass"}
LEGIBLE: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace"}


class Rows(NamedTuple):
    """What stands in the table, by image; no text of it is held in memory."""

    starts: NDArray[np.int64]  # first byte of the image's row, (n,)
    ends: NDArray[np.int64]  # behind its last byte; 0: it has no row
    scores: NDArray[np.float64]
    decisions: NDArray[np.bool_]

    @property
    def missing(self) -> NDArray[np.int64]:
        """Positions of the images without a row."""
        return np.flatnonzero(self.ends == 0)


class UnfinishedTable:
    """`<name>.unfinished.csv` until it is whole, and then `<name>.csv`.

    Beside it stand `<name>.unfinished.json`, which says what makes its rows, and one more table for every process but
    the first. Killed at any moment, it keeps what was computed until then: a half-written row is cut off.

    Args:
        path: of the whole table.
        columns: their names: path, score, decision, and more numbers.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.table = path.with_suffix(f".unfinished{path.suffix}")
        self.record = path.with_suffix(".unfinished.json")

    def begin(self, made_by: dict[str, Any]) -> None:
        """Begins, or goes on where a killed process has stopped; rows of images that have changed since go.

        Args:
            made_by: what the rows depend on, by the option that brings it; what JSON can hold.

        Raises:
            ValueError: the rows that are there depend on something else.
        """
        made_by = {"columns": self.columns, **json.loads(json.dumps(made_by))}
        if self.table.exists() or self.record.exists():
            self._check(made_by)
            written = max((table.stat().st_mtime for table in self._tables()), default=0)
            self._gather(lambda path: not _changed_since(written, path))
        else:
            write_json(self.record, made_by)

    def _check(self, made_by: dict[str, Any]) -> None:
        try:
            earlier = json.loads(self.record.read_text(encoding="utf-8"))
            other = [name for name, value in made_by.items() if value != earlier[name]]
        except (OSError, ValueError, KeyError, TypeError):
            raise ValueError(
                f"nothing says what {self.table} was made by: remove it, or choose another run=FOLDER"
            ) from None
        if other:
            raise ValueError(
                f"{self.path.parent} holds an unfinished {self.path.name} with another {' and another '.join(other)}"
                f" (see {self.record.name}): continue it as it was begun, or choose another run=FOLDER"
            )

    @contextmanager
    def growing(self, place: int = 0) -> Iterator[Any]:
        """What writes rows at the end of the table; of several processes each gets its own, by its place."""
        table = self.table.with_suffix(f".{place}.csv") if place else self.table
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with table.open("a", newline="", buffering=1, **EXACT) as file:
            writer = csv.writer(file)
            if not file.tell():
                writer.writerow(self.columns)
            yield writer

    def rows(self, paths: Sequence[str]) -> Rows:
        """Where the rows of these images stand, those of all processes, which have ended."""
        if self._tables() != [self.table]:
            self._gather(lambda path: True)
        ends, scores, decisions = [len(self._header())], [np.nan], [False]
        number = dict[str, int]()
        for number_of_row, (row, content) in enumerate(self._whole(self.table), start=1):
            number[row[0]] = number_of_row  # of two rows of one image the later one
            ends.append(ends[-1] + len(content))
            scores.append(float(row[1]))
            decisions.append(row[2] == "1")
        chosen = np.array([number.get(path, 0) for path in paths], dtype=np.int64)
        there, last = chosen > 0, np.array(ends)
        return Rows(
            np.where(there, last[chosen - 1], 0),
            np.where(there, last[chosen], 0),
            np.array(scores)[chosen],
            np.array(decisions)[chosen],
        )

    def finish(self, rows: Rows) -> None:
        """Writes the whole table, in the order of the images, and removes what was unfinished."""
        with replacing(self.path) as partial, partial.open("w", newline="", **LEGIBLE) as file:
            file.write(self._header().decode())
            with self.table.open("rb") as table, mmap.mmap(table.fileno(), 0, access=mmap.ACCESS_READ) as content:
                for start, end in zip(rows.starts.tolist(), rows.ends.tolist(), strict=True):
                    file.write(content[start:end].decode(**EXACT))
        for path in (*self._tables(), self.record):
            path.unlink(missing_ok=True)

    def _header(self) -> bytes:
        return (",".join(self.columns) + "\r\n").encode()

    def _tables(self) -> list[Path]:
        others = sorted(self.path.parent.glob(f"{self.table.stem}.*.csv"))
        return [table for table in (self.table, *others) if table.exists()]

    def _gather(self, keep: Callable[[str], bool]) -> None:
        """Brings the whole rows of all tables into one."""
        tables = self._tables()
        with replacing(self.table) as partial, partial.open("wb") as file:
            file.write(self._header())
            for table in tables:
                file.writelines(content for row, content in self._whole(table) if keep(row[0]))
        for table in tables:
            if table != self.table:
                table.unlink()

    def _whole(self, table: Path) -> Iterator[tuple[list[str], bytes]]:
        """Rows with their bytes, up to the first that is not whole: a kill leaves half of one, a power cut anything."""
        content = b""

        def lines() -> Iterator[str]:
            nonlocal content
            for line in file:
                content += line
                yield line.decode(**EXACT)

        with table.open("rb") as file, suppress(csv.Error, ValueError):
            for row in csv.reader(lines()):
                if content != self._header():
                    if len(row) != len(self.columns) or not content.endswith(b"\r\n"):
                        return
                    list(map(float, row[1:]))  # raises ValueError where they are no numbers
                    yield row, content
                content = b""


def _changed_since(moment: float, path: str) -> bool:
    """Whether an image was written after that; one without a file of its own never is."""
    try:
        return Path(path).stat().st_mtime > moment
    except (OSError, ValueError):
        return False
