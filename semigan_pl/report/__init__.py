"""What a run leaves for people: a self-contained page and a table in the terminal, made from the run's files alone."""

from semigan_pl.report.page import write_report
from semigan_pl.report.summary import print_summary

__all__ = ["print_summary", "write_report"]
