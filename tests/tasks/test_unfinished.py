"""A table that grows on disk: every row comes back as it was, whatever cut the file off and whoever wrote it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from semigan_pl.tasks.unfinished import UnfinishedTable

COLUMNS = ["path", "score", "decision", "critic"]
NAMES = ["a.png", "b,c.png", 'with "quotes".png', "two\r\nlines.png", "é.png", os.fsdecode(b"\xff.png"), "\\udcff.png"]


def written(folder: Path, names: list[str], place: int = 0, shift: float = 0.0) -> UnfinishedTable:
    table = UnfinishedTable(folder / "found.csv", COLUMNS)
    table.begin({"seed": 1})
    with table.growing(place) as writer:
        for number, name in enumerate(names):
            writer.writerow([name, repr(number + 0.1 + shift), number % 2, repr(-1e-17)])
    return table


def test_every_name_comes_back(tmp_path: Path) -> None:
    table = written(tmp_path, NAMES)
    asked = [NAMES[3], "not there.png", *NAMES[::-1]]
    rows = table.rows(asked)
    assert rows.missing.tolist() == [1]
    np.testing.assert_array_equal(rows.scores[2:], np.arange(len(NAMES))[::-1] + 0.1)
    assert rows.decisions[2:].tolist() == [number % 2 == 1 for number in range(len(NAMES))][::-1]
    table.finish(rows)
    with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file)
    assert header == COLUMNS
    assert [row[0] for row in found] == [
        name.encode(errors="backslashreplace").decode() for name in asked if "not" not in name
    ]
    assert [float(row[1]) for row in found] == [3.1, *rows.scores[2:]]
    assert [path.name for path in tmp_path.iterdir()] == ["found.csv"]


def test_cut_off_anywhere(tmp_path: Path) -> None:
    """Whatever byte a kill leaves as the last one, whole rows stay, and a new row is not glued to half of another."""
    table = written(tmp_path, NAMES)
    content, ends = table.table.read_bytes(), table.rows(NAMES).ends
    for size in range(len(content) + 1):
        table.table.write_bytes(content[:size])
        table.begin({"seed": 1})
        with table.growing() as writer:
            writer.writerow(["new.png", "7.5", 1, "0.0"])
        rows = table.rows([*NAMES, "new.png"])
        assert rows.missing.tolist() == np.flatnonzero(ends > size).tolist()
        assert rows.scores[-1] == 7.5


def test_what_a_power_cut_leaves(tmp_path: Path) -> None:
    for rubbish in (b"\0\0\0\0\r\n", b"x.png,?,1,2\r\n", b"\xf8\xf9,1,1,1\r\n", b"x.png,1,1\r\n"):
        table = written(tmp_path, ["a.png"])
        with table.table.open("ab") as file:
            file.write(rubbish)
        assert table.rows(["a.png", "x.png"]).missing.tolist() == [1]


def test_the_tables_of_several_processes_are_one(tmp_path: Path) -> None:
    written(tmp_path, NAMES[::2])
    table = written(tmp_path, NAMES[1::2], place=3)
    with table.growing(12) as writer:
        writer.writerow([NAMES[0], "99.0", 0, "0.0"])  # of one image twice: that which came later
    assert len(list(tmp_path.glob("*.csv"))) == 3
    rows = table.rows(NAMES)
    assert not len(rows.missing)
    assert rows.scores[0] == 99.0
    assert len(list(tmp_path.glob("*.csv"))) == 1


def test_rows_of_something_else_are_not_continued(tmp_path: Path) -> None:
    table = written(tmp_path, NAMES)
    with pytest.raises(ValueError, match=r"an unfinished found\.csv with another seed \(see found\.unfinished\.json\)"):
        table.begin({"seed": 2})
    with pytest.raises(ValueError, match="with another columns and another seed"):
        UnfinishedTable(table.path, COLUMNS[:3]).begin({"seed": 2})
    table.record.write_text("{")
    with pytest.raises(ValueError, match=r"nothing says what .*found\.unfinished\.csv was made by: remove it"):
        table.begin({"seed": 1})


def test_an_image_that_has_changed_since(tmp_path: Path) -> None:
    images = [str(tmp_path / name) for name in ("old.png", "new.png")]
    for image in images:
        Path(image).touch()
    table = written(tmp_path, images)
    moment = table.table.stat().st_mtime
    os.utime(images[0], (moment, moment - 1))
    os.utime(images[1], (moment, moment + 1))
    table.begin({"seed": 1})
    assert table.rows(images).missing.tolist() == [1]
