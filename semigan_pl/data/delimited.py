"""Tables as spreadsheets save them: text with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line that only says so to Excel


def delimited_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, cells without blanks around them) of every line that is not blank.

    The delimiter is what a first line such as `sep=;` names, else what is most frequent in the first line of cells.

    Raises csv.Error where a cell has no end.
    """
    lines = text.splitlines()
    named = SEPARATOR.fullmatch(lines[0]) if lines else None
    header = next((line for line in lines if line.strip()), "")
    reader = csv.reader(io.StringIO(text), delimiter=named[1] if named else max(",;\t", key=header.count))
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped) and not (named and reader.line_num == 1):
            yield reader.line_num, stripped
