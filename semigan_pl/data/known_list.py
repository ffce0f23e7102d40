"""Known anomalies that a person has confirmed: a file of paths or indices, such as the rows kept of an audit."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np

from semigan_pl.data.delimited import delimited_rows
from semigan_pl.data.image_source import ImageSource, printable
from semigan_pl.data.protocol import Positions
from semigan_pl.data.splits import Splits

COLUMNS = ("path", "index")  # of a csv; the first one that is there and filled names the image


def confirmed_positions(file: str, source: ImageSource) -> Positions:
    """Positions in the source of the images that a file lists, sorted.

    Args:
        file: a csv with a column `path` or `index` (audit.csv is one), or a plain list of them, one a line. Paths may
            be as the source has them, or lead to the same files in another way.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lists nothing, or an image that the source does not hold.
    """
    path = Path(os.path.expanduser(file))
    if not path.is_file():
        raise FileNotFoundError(f"data.known_list={file} is not a file: give a csv or list of confirmed anomalies")
    try:
        words = _listed(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"data.known_list={file} is not text in UTF-8: save it as a csv or a plain list") from error
    if not words:
        raise ValueError(f"data.known_list={file} lists no image: give a column path or index, or one path a line")
    places = {str(number): number for number in range(len(source))}
    # printable: so does audit.csv write them
    places |= {printable(os.path.realpath(name)): number for number, name in enumerate(source.paths)}
    places |= {printable(name): number for number, name in enumerate(source.paths)}
    found = [places.get(word, places.get(os.path.realpath(os.path.expanduser(word)))) for word in words]
    unknown = [word for word, number in zip(words, found, strict=True) if number is None]
    if unknown:
        raise ValueError(
            f"data.known_list={file} names {len(unknown)} of {len(words)} images that {source.name} does not hold, such"
            f" as {unknown[0]}: give paths as they stand in audit.csv, and the same data.root"
        )
    return np.unique(np.array(found, dtype=np.int64))


def confirm(splits: Splits, confirmed: Positions, tested: Positions) -> Splits:
    """The splits with these images as known anomalies, taken out of the pool; what validated goes on validating.

    Args:
        tested: the test side: test images, also those that a limit leaves out, and whatever belongs to their groups.

    Raises ValueError if one of them is on the test side: a detector that knows it could not be tested.
    """
    forbidden = np.intersect1d(confirmed, tested)
    if len(forbidden):
        raise ValueError(
            f"data.known_list names {len(forbidden)} images of the test set or of its groups (the first is number"
            f" {forbidden[0]}): remove them from the list, the test must not be trained on"
        )
    validating = np.concatenate([splits.val, splits.val_known])
    changed = Splits(
        train=np.setdiff1d(splits.train, confirmed),
        train_known=np.union1d(splits.train_known, np.setdiff1d(confirmed, validating)),
        val=np.setdiff1d(splits.val, confirmed),
        val_known=np.union1d(splits.val_known, np.intersect1d(confirmed, validating)),
        test=splits.test,
    )
    if not (len(changed.train) and len(changed.val)):
        raise ValueError("data.known_list leaves no unlabelled image to train or calibrate on: list anomalies only")
    return changed


def _listed(text: str) -> list[str]:
    """Paths and indices, as they are written; indices without the .0 that pandas and Excel add."""
    rows = delimited_rows(text)
    header = [cell.lower() for cell in next(rows, (0, []))[1]]
    columns = [name for name in COLUMNS if name in header]
    if not columns:
        return [_whole(line.strip()) for line in text.splitlines() if line.strip()]
    named = (dict(zip(header, cells, strict=False)) for _, cells in rows)
    return [_whole(next((row[name] for name in columns if row.get(name)), "")) for row in named]


def _whole(word: str) -> str:
    return re.sub(r"^(\d+)\.0+$", r"\1", word)
