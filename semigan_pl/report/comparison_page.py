"""The files of a comparison: table.md, table.csv, table.png and table.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from semigan_pl.atomic import write_bytes
from semigan_pl.report import comparison_words as words
from semigan_pl.report.comparison import compared
from semigan_pl.report.comparison_figure import dots, size
from semigan_pl.report.comparison_runs import Cell, FinishedRun, Reference
from semigan_pl.report.html import address, write_page
from semigan_pl.report.style import DARK, LIGHT, render


def write_comparison(
    folder: Path,
    title: str,
    lead: Sequence[str],
    settings: Mapping[str, str],
    cells: Sequence[Cell],
    runs: Mapping[Path, FinishedRun],
    references: Sequence[Reference],
    failures: Sequence[words.Failure],
    draw: bool,
) -> None:
    """Writes the files anew.

    Args:
        lead: sentences above the tables.
        settings: name -> title, in the order in which they are shown.
        cells: all that are planned.
        runs: those that are finished, by folder; at least one.
        draw: also the picture, and the page with it: they take most of the time.
    """
    tables = compared(settings, cells, runs, references)
    here = {name: [one for one in cells if one.setting == name and one.folder in runs] for name in settings}
    notes = {name: words.note(finished, runs, settings) for name, finished in here.items()}
    write_bytes(folder / "table.csv", words.table_csv(tables).encode())
    text = words.markdown(title, lead, tables, notes, failures)
    write_bytes(folder / "table.md", text.encode(errors="backslashreplace"))
    if draw:
        width, height = size(tables)
        light, dark = (render(dots(tables), theme, height, width) for theme in (LIGHT, DARK))
        write_bytes(folder / "table.png", light)
        content = {"title": title, "lead": lead, "tables": tables, "notes": notes, "failures": failures, "words": words}
        pictures = {"light": address(light), "dark": address(dark)}
        write_page(folder / "table.html", "comparison.html.jinja", content | pictures)
