"""One's own images by a table: a csv file that says of every image what it is."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from semigan_pl.data.cache import listing
from semigan_pl.data.delimited import delimited_rows
from semigan_pl.data.groups import divided_group
from semigan_pl.data.image_source import ImageFiles, existing_folder

NORMAL_WORDS = ("0", "normal", "good", "ok", "false", "0.0")  # pandas writes 0.0 where a column lacks a value
ANOMALOUS_WORDS = ("1", "anomalous", "anomaly", "bad", "defective", "ng", "nok", "true", "1.0")
PARTS = ("train", "val", "test", "")
COLUMNS = ("path", "label", "mask", "class", "split", "group")
HINT = "give a csv with the columns path and label, and perhaps mask, class, split and group"


class _Row(NamedTuple):
    """One image of the table."""

    line: int
    path: str
    kind: str
    split: str
    group: str
    mask: str  # "" where there is none


def manifest(file: str | None, root: str | None, name: str) -> ImageFiles:
    """Reads a csv in UTF-8 with commas, semicolons or tabs, whose first line names the columns.

    path: image file, relative to `root`. label: one of NORMAL_WORDS or ANOMALOUS_WORDS. mask: file of the defective
    pixels of an anomalous image, likewise; that of a normal one is passed over. class: kind of the anomaly, by default
    "anomalous"; normal images are of the class "normal" whatever it says, so that they alone are normal. split: train,
    val, test, or empty where the protocol shall decide. group: images that must stay together, such as shots of one
    object. Other columns are passed over, as are upper case and blanks around words.

    Args:
        file: the csv.
        root: folder of the images; None means that of the csv.

    Raises:
        FileNotFoundError: the csv or images are not there.
        ValueError: a column is missing, or a line says what cannot be.
    """
    if file is None:
        raise FileNotFoundError(f"data.manifest is not set: {HINT}")
    table = Path(os.path.expanduser(file))
    if not table.is_file():
        raise FileNotFoundError(f"data.manifest={file} is not a file: {HINT}")
    base = table.parent if root is None else existing_folder("data.root", root, "paths in data.manifest start there")
    rows = [_row(f"{table}, line {line}", line, cells, base) for line, cells in _lines(table)]
    _check_files(rows, table, base)
    _check_rows(rows, table)
    class_names = ["normal", *sorted({row.kind for row in rows} - {"normal"})]
    classes = [class_names.index(row.kind) for row in rows]
    masks = {position: row.mask for position, row in enumerate(rows) if row.mask}
    groups = [row.group for row in rows]
    paths = [row.path for row in rows]
    return ImageFiles(name, class_names, classes, [row.split for row in rows], paths, groups=groups, masks=masks)


def _lines(table: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, column -> cell) of every line that is not blank."""
    try:
        # Excel begins UTF-8 files with a byte order mark.
        lines = list(delimited_rows(table.read_text(encoding="utf-8-sig")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read ({error}): save it as a csv in UTF-8") from error
    columns = [column.lower() for column in lines[0][1]] if lines else []
    for column in COLUMNS:
        if column in ("path", "label") and column not in columns:
            raise ValueError(f"{table} has no column {column}, only {', '.join(columns) or 'nothing'}: {HINT}")
        if columns.count(column) > 1:
            raise ValueError(f"{table} has two columns {column}: rename one")
    for line, cells in lines[1:]:
        if any(cells[len(columns) :]):
            raise ValueError(
                f"{table}, line {line} has {len(cells)} cells for {len(columns)} columns: put cells that hold the"
                " delimiter in double quotes"
            )
    return [(line, dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))) for line, cells in lines[1:]]


def _row(here: str, line: int, cells: dict[str, str], base: Path) -> _Row:
    if not cells["path"]:
        raise ValueError(f"{here}: the path is empty: name an image file, or remove the line")
    label, split = cells["label"].lower(), cells.get("split", "").lower()
    if label not in NORMAL_WORDS + ANOMALOUS_WORDS:
        raise ValueError(
            f"{here}: the label {cells['label']!r} is unknown: use {', '.join(NORMAL_WORDS)} for normal and"
            f" {', '.join(ANOMALOUS_WORDS)} for anomalous images"
        )
    if split not in PARTS:
        raise ValueError(f"{here}: the split {cells['split']!r} is unknown: use train, val or test, or leave it empty")
    path, group = _file(cells["path"], base), cells.get("group", "")
    if label in NORMAL_WORDS:
        return _Row(line, path, "normal", split, group, mask="")
    kind = cells.get("class", "")
    kind = "anomalous" if kind in ("", "normal") else kind  # a kind that is called "normal" does not pass for normal
    return _Row(line, path, kind, split, group, _file(cells.get("mask", ""), base))


def _file(cell: str, base: Path) -> str:
    """A path of the table as we can open it; an absolute one stays as it is."""
    return os.path.normpath(base / os.path.expanduser(cell)) if cell else ""


def _check_files(rows: Sequence[_Row], table: Path, base: Path) -> None:
    images = [(row.line, row.path) for row in rows]
    masks = [(row.line, row.mask) for row in rows if row.mask]
    for what, files in (("images", images), ("masks", masks)):
        missing = [f"{path} (line {line})" for line, path in files if not Path(path).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(files)} {what} of {table} do not exist: {listing(missing)}:"
                f" correct them, or set data.root to the folder where the paths start (now {base})"
            )


def _check_rows(rows: Sequence[_Row], table: Path) -> None:
    """What only all rows together show."""
    if not any(row.kind == "normal" for row in rows):
        raise ValueError(f"{table} holds no normal image: label the normal ones {' or '.join(NORMAL_WORDS[:2])}")
    first: dict[str, int] = {}
    for row in rows:
        earlier = first.setdefault(row.path, row.line)
        if earlier != row.line:
            raise ValueError(f"{table}, line {row.line}: {row.path} is named in line {earlier} already: remove one")
    divided = divided_group([row.split for row in rows], [row.group for row in rows])
    if divided is not None:
        one, other = (rows[position] for position in divided)
        raise ValueError(
            f"{table}: group {one.group!r} lies in {one.split} (line {one.line}) and in {other.split} (line"
            f" {other.line}): a group is never divided, so put all of its images in one split"
        )
