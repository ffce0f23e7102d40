"""task=report: the report of a run, made again from its files."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from semigan_pl.report.page import write_report
from semigan_pl.report.summary import print_summary


def report(config: DictConfig) -> None:
    """Makes the report of run=FOLDER again from its files."""
    folder = Path(config.run)
    write_report(folder)
    print_summary(folder, Console())
