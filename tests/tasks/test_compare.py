"""task=compare: which runs are named how, where the files go, and what is said of nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import call
from tests.report.sweep_runs import make_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for gamma in (1, 0.5):
        make_run(tmp_path / f"multirun/a/g{gamma}", gamma)
    make_run(tmp_path / "outputs/b/g0.7", 0.7)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "n"),
    [
        ("multirun", 2),
        ("multirun/a/g*", 2),
        ("[multirun/a/g1,outputs/b]", 2),
        ("[multirun,outputs]", 3),
        ("[multirun,{here}/outputs]", 3),
    ],
)
def test_runs_are_named_in_any_way(runs: Path, named: str, n: int) -> None:
    done = call(runs, "task=compare", f"runs={named.format(here=runs)}", "run=there")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{n} runs compared: there/compare.html\n"
    names = {"compare.html", "runs.csv", "groups.csv", "table.md", "table.tex"}
    assert {path.name for path in (runs / "there").iterdir()} == names
    assert len((runs / "there/runs.csv").read_text().splitlines()) == n + 1


def test_without_a_folder_it_goes_below_outputs_compare(runs: Path) -> None:
    assert call(runs, "task=compare", "runs=multirun").returncode == 0
    assert len(list((runs / "outputs/compare").glob("*/compare.html"))) == 1
    assert not (runs / "outputs/digits").exists()  # where a run of the data set would go


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "error: task=compare needs runs=FOLDER: a folder of runs, one with wildcards, or a list [A,B]"),
        (["runs=gone"], "error: runs=gone is not there: name folders that runs lie in, or somewhere below"),
    ],
)
def test_nonsense_ends_in_a_sentence(runs: Path, typed: list[str], said: str) -> None:
    done = call(runs, "task=compare", *typed)
    assert (done.returncode, done.stderr) == (1, said)
