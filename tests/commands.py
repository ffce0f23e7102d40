"""The command line as tests use it, on a budget of seconds."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import run

ROOT = Path(__file__).parents[1]
SMALL = [
    "trainer.log_every_n_steps=5",
    "search.steps=3",
    "search.starts=8",
    "network_sizes.small.width=8",
    "data.test_limit=60",
]


Run = subprocess.CompletedProcess[str]


def command(cwd: Path, *arguments: str) -> Run:
    """`python run.py ...` as a user types it, outputs landing in `cwd`."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def call(cwd: Path, *arguments: str) -> Run:
    """The same in this process, which spares the seconds of importing."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        patch.setattr(sys, "argv", ["run.py", *arguments])
        patch.chdir(cwd)
        try:
            run.cli()
        except SystemExit as stop:
            code = 1 if isinstance(stop.code, str) else int(stop.code or 0)
            err.write(stop.code if isinstance(stop.code, str) else "")
    return Run(arguments, code, out.getvalue(), err.getvalue())


def scores(folder: Path) -> dict[str, np.ndarray]:
    """Columns of scores.csv; numbers where they are numbers."""
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    texts = ("path", "class")
    return {k: np.array([row[k] if k in texts else float(row[k]) for row in rows]) for k in rows[0]}
