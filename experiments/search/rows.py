"""Tables that grow row by row: what was measured once is not measured again."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


class Rows:
    """A csv file of measurements, one row each, on disk as soon as it is known.

    Args:
        path: of the file.
        keys: columns that say what was measured.
        values: columns that say what came out.
    """

    def __init__(self, path: Path, keys: Sequence[str], values: Sequence[str]) -> None:
        self.path, self.keys, self.columns = path, keys, [*keys, *values]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(self.columns) + "\n", encoding="utf-8")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != self.columns:
                raise ValueError(f"{path} has other columns than this script writes: move it away and start again")
            self.known = {self._key(row) for row in reader}

    def __contains__(self, row: Row) -> bool:
        return self._key(row) in self.known

    def add(self, row: Row) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)
        self.known.add(self._key(row))

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(str(row[key]) for key in self.keys)


def read(path: Path) -> list[dict[str, str]]:
    """All rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def listed(text: str) -> list[int]:
    """Whole numbers of the command line: 0,1,2."""
    return [int(part) for part in text.split(",") if part]
