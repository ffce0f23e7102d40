"""Multiruns by every launcher and sweeper that is installed, for real, one job of each failing on purpose.

They come with extras: pip install semigan_pl[sweeps], then pytest tests/tasks/test_sweep_launchers.py.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from semigan_pl.tasks.sweep import FAILURE, OUTPUT
from tests.commands import SMALL, command

LAUNCHERS = {
    "basic": ("hydra", []),
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ["hydra.launcher.n_jobs=2"]),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", ["hydra.launcher.timeout_min=10"]),
    "ray": ("hydra_plugins.hydra_ray_launcher", ["+hydra.launcher.ray.init.num_cpus=2"]),
}
TYPED = ["-m", *SMALL, "max_images=64"]


def need(plugin: str) -> None:
    parts = plugin.split(".")
    for n in range(1, len(parts) + 1):  # find_spec imports what lies above, which may be missing as well
        if importlib.util.find_spec(".".join(parts[:n])) is None:
            pytest.skip(f"{plugin} is not installed")


def jobs(folder: Path, file: str) -> dict[str, Path]:
    """The jobs whose folder holds a file, by their first override."""
    found = {path.parent.name.split(",model.gamma=")[1].split(",")[0]: path.parent for path in folder.rglob(file)}
    return dict(sorted(found.items()))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_one_job_fails_and_the_others_do_not(launcher: str, tmp_path: Path) -> None:
    plugin, options = LAUNCHERS[launcher]
    need(plugin)
    typed = [*TYPED, "model.gamma=0.5,7,0.7", f"hydra/launcher={launcher}", *options]
    result = command(tmp_path, *typed)
    place = tmp_path / "multirun" / "digits"
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    _, _, end = result.stderr.partition("Failed, and tried again by the same command:\n")
    (listed,) = end.strip().splitlines()
    assert "model.gamma=7 is outside (0, 1]" in listed
    assert list(jobs(place, "metrics.json")) == ["0.5", "0.7"]
    assert list(jobs(place, FAILURE)) == ["7"]
    before = {path: path.stat().st_mtime_ns for path in place.rglob("metrics.json")}
    again = command(tmp_path, *(one.replace("0.5,7,0.7", "0.5,0.7") for one in typed))
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in place.rglob("metrics.json")} == before


def test_a_job_beside_others_may_itself_be_several_processes(tmp_path: Path) -> None:
    plugin, options = LAUNCHERS["joblib"]
    need(plugin)
    result = command(tmp_path, *TYPED, "trainer=ddp", "model.gamma=0.5,7", "hydra/launcher=joblib", *options)
    place = tmp_path / "multirun" / "digits"
    assert list(jobs(place, "metrics.json")) == ["0.5"], result.stdout + result.stderr
    assert list(jobs(place, FAILURE)) == ["7"]
    assert "Training" in (jobs(place, "metrics.json")["0.5"] / OUTPUT).read_text()
    assert "Training" not in result.stdout + result.stderr  # bars of several jobs cannot be read


def test_optuna_goes_on_after_a_failed_trial_and_after_a_stop(tmp_path: Path) -> None:
    need("hydra_plugins.hydra_optuna_sweeper")
    fixed = ["search.lambda_=0.1", "optimizer.generator.lr=0.001", "optimizer.discriminator.lr=0.001"]
    typed = [*TYPED, "+sweep=optuna", *fixed, "model.gamma=interval(0.5,1.2)"]  # beyond 1 they fail
    first = command(tmp_path, *typed, "hydra.sweeper.n_trials=4")
    assert first.returncode == 1, first.stdout + first.stderr
    place = tmp_path / "multirun" / "digits"
    finished, failed = jobs(place, "metrics.json"), jobs(place, FAILURE)
    assert len(finished) + len(failed) == 4
    assert finished
    assert all(0.5 <= float(gamma) <= 1 for gamma in finished)
    assert failed
    assert all(float(gamma) > 1 for gamma in failed)
    objectives = [json.loads((folder / "metrics.json").read_text())["objective"] for folder in finished.values()]
    best = (place / "optimization_results.yaml").read_text()
    assert f"best_value: {max(objectives)}" in best
    second = command(tmp_path, *typed, "hydra.sweeper.n_trials=5")  # the same four, and one more
    assert len(jobs(place, "metrics.json")) + len(jobs(place, FAILURE)) == 5, second.stdout + second.stderr
    assert set(finished) <= set(jobs(place, "metrics.json"))
    assert second.stdout.count("finished earlier, val/auroc") == len(finished)


def test_optuna_alone_would_look_for_the_worst(tmp_path: Path) -> None:
    need("hydra_plugins.hydra_optuna_sweeper")
    result = command(tmp_path, *TYPED, "hydra/sweeper=optuna", "model.gamma=interval(0.5,1)")
    assert result.returncode == 1
    assert "add hydra.sweeper.direction=maximize" in result.stderr
