r"""A comparison as one LaTeX tabular, the settings as its groups; it needs \usepackage{booktabs}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from semigan_pl.report.comparison import Column, Row, Table
from semigan_pl.report.comparison_words import class_heading, heading, is_best, sources, text

ESCAPED = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"–": "--", "“": "``", "”": "''", "…": r"\ldots{}", "×": r"$\times$"},
}


def escaped(words: str) -> str:
    """Words that LaTeX prints as they stand, in one line."""
    return "".join(ESCAPED.get(character, character) for character in " ".join(words.split()))


def latex(title: str, lead: Sequence[str], tables: Sequence[Table], notes: Mapping[str, str]) -> str:
    r"""The comparison for \input in a paper: measured, published and difference as rows below each other.

    Args:
        lead: sentences above the tables; they stand in comments, as do the notes of the settings and the sources.
        tables: at least one.
    """
    columns = max((table.columns for table in tables), key=len)
    comments = [title, *lead, r"Needs \usepackage{booktabs}"]
    rows = [line for table in tables for line in _group(table, columns, "" if table.unseen else notes[table.setting])]
    return "\n".join(
        [
            *map(_comment, comments),
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            *_head(tables[0], columns),
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _head(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """The classes; above them the metrics where there are several."""
    metrics = table.layout.metrics
    if len(metrics) > 1:
        spans, rules, first = [""], [], 2
        for metric, several in groupby(columns, key=lambda column: column.metric):
            n = len(list(several))
            spans.append(rf"\multicolumn{{{n}}}{{c}}{{{escaped(metrics[metric])}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + n - 1}}}")
            first += n
        yield _line(spans)
        yield " ".join(rules)
    yield _line(["method (score)", *(escaped(class_heading(column.name, table)) for column in columns)])


def _group(table: Table, columns: Sequence[Column], note: str) -> Iterator[str]:
    yield r"\midrule"
    if note:
        yield _comment(note)
    for source in sources(table):
        yield _comment(f"{'; '.join(dict.fromkeys(row.name for row in table.rows if row.source == source))}: {source}")
    yield _line([rf"\multicolumn{{{1 + len(columns)}}}{{l}}{{\emph{{{escaped(heading(table))}}}}}"])
    for row in table.rows:
        yield _line([_label(row), *(_number(row, column, table) for column in columns)])


def _label(row: Row) -> str:
    if row.kind == "measured":
        return escaped(f"{row.name} ({row.score})")
    return rf"\quad {escaped(row.name)}" if row.method else escaped(row.name)


def _number(row: Row, column: Column, table: Table) -> str:
    """A cell in math mode, so that signs are signs; whoever is best in bold."""
    shown = text(row, column, table)
    if column not in row.groups:
        return escaped(shown)
    number, _, fewer = shown.replace("±", r"\pm").partition(" (")
    number = rf"$\mathbf{{{number}}}$" if is_best(row, column, table) else f"${number}$"
    return f"{number} ({fewer}" if fewer else number


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} " + r"\\"


def _comment(words: str) -> str:
    return f"% {' '.join(words.split())}"
