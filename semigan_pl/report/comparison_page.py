"""The files of a comparison: table.md, table.csv, table.tex, table.png and table.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from semigan_pl.atomic import write_bytes
from semigan_pl.report import comparison_words as words
from semigan_pl.report.comparison import compared
from semigan_pl.report.comparison_figure import dots, size
from semigan_pl.report.comparison_latex import latex
from semigan_pl.report.comparison_protocol import note
from semigan_pl.report.comparison_runs import Comparison
from semigan_pl.report.html import address, write_page
from semigan_pl.report.style import DARK, LIGHT, render


def write_comparison(
    folder: Path,
    title: str,
    lead: Sequence[str],
    comparison: Comparison,
    failures: Sequence[words.Failure],
    draw: bool,
) -> None:
    """Writes the files anew.

    Args:
        lead: sentences above the tables.
        comparison: at least one of its runs is finished.
        draw: also the picture, and the page with it: they take most of the time.
    """
    tables = compared(comparison)
    notes = {setting: note(comparison, setting) for setting in comparison.titles}
    text = words.markdown(title, lead, tables, notes, failures)
    texts = {"csv": words.table_csv(tables), "md": text, "tex": latex(title, lead, tables, notes)}
    for kind, written in texts.items():
        write_bytes(folder / f"table.{kind}", written.encode(errors="backslashreplace"))
    if draw:
        width, height = size(tables)
        light, dark = (render(dots(tables), theme, height, width) for theme in (LIGHT, DARK))
        write_bytes(folder / "table.png", light)
        content = {"title": title, "lead": lead, "tables": tables, "notes": notes, "failures": failures, "words": words}
        pictures = {"light": address(light), "dark": address(dark)}
        write_page(folder / "table.html", "comparison.html.jinja", content | pictures)
