"""The table in the terminal that ends a run."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semigan_pl.report.run_files import RunFiles, read_run
from semigan_pl.report.tables import number, pixels, score_terms
from semigan_pl.report.verdict import verdict

HEADLINES = {  # metric -> words
    "test/auroc": "AUROC",
    "test/average_precision": "average precision",
    "test/f1": "F1 at the threshold",
    "test/precision": "precision",
    "test/recall": "recall",
    "test/auroc_known": "AUROC, known kinds",
    "test/auroc_unseen": "AUROC, unseen kinds",
}
PIXEL_HEADLINES = {  # only where the data set has masks and the method has maps
    "test/pixel_auroc": "AUROC of pixels",
    "test/pixel_average_precision": "average precision of pixels",
    "test/pixel_prevalence": "share of defective pixels",
}


def print_summary(run_folder: Path, console: Console) -> None:
    """Prints the score terms, the headline numbers, the verdict and the path of the page.

    Raises FileNotFoundError if the folder holds no finished run.
    """
    run = read_run(Path(run_folder))
    console.print()
    if run.terms:
        console.print(_terms(run))
    if run.number("test/auroc") is not None:
        console.print(_headlines(run))
    if sentence := _about_pixels(run):
        console.print(Text(sentence))
    for sentence in verdict(run).sentences:
        console.print(Text(sentence))
    console.print()
    # Never wrapped or marked up, so that the path can be copied and clicked.
    console.print(Text(f"Report: {Path(run_folder) / 'report.html'}", style="bold"), soft_wrap=True)


def _terms(run: RunFiles) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("score term", "AUROC val", "AUROC test"):
        table.add_column(heading, justify="left" if heading == "score term" else "right", overflow="fold")
    for term in score_terms(run):
        name = f"{term.name} ← the score" if term.is_chosen else term.name
        style = "bold" if term.is_chosen else ""
        table.add_row(Text(name), number(term.auroc_val), number(term.auroc_test), style=style)
    return table


def _about_pixels(run: RunFiles) -> str:
    """How many images the numbers about pixels stand on; empty where the data set has no masks."""
    measured = pixels(run)
    if measured is None:
        return ""
    total = f" of {len(run.scores.labels):,}" if run.scores else ""
    known = f"{measured.n_images:,}{total} test images"
    if measured.auroc is None:
        return f"Pixel metrics are undefined: {known} count for them, and no defective pixel is marked in any."
    return f"Pixels are those of {known}: the normal ones, and the anomalous ones whose defects are marked."


def _headlines(run: RunFiles) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for key, words in (HEADLINES | (PIXEL_HEADLINES if pixels(run) else {})).items():
        table.add_row(words, number(run.number(key)))
    return table
