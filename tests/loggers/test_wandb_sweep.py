"""The jobs of a multirun in W&B: a run each, one group, one project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import SMALL, call
from tests.loggers.offline_run import OfflineRun


@pytest.mark.usefixtures("nobody")
def test_every_job_is_a_run_of_its_own_in_the_group_of_the_sweep(tmp_path: Path) -> None:
    wandb = ["logger=wandb", "logger.wandb.mode=offline", "logger.wandb.tags=[contaminated]"]
    result = call(tmp_path, "-m", *SMALL, *wandb, "max_images=64", "name=my_sweep", "model.gamma=0.7,1")
    assert result.returncode == 0, result.stderr
    folders = sorted(path.parent for path in (tmp_path / "multirun" / "my_sweep").rglob("metrics.json"))
    found = [OfflineRun(folder) for folder in folders]
    assert [one.config["model"]["gamma"] for one in found] == [0.7, 1]
    assert len({one.run.run_id for one in found}) == 2
    assert {one.run.run_group for one in found} == {"my_sweep"}
    assert {tuple(one.run.tags) for one in found} == {("contaminated",)}
    assert [one.run.display_name for one in found] == [folder.name for folder in folders]
    assert not any("logger" in folder.name for folder in folders)  # where curves go is not what a job is
    assert [one.exit_code for one in found] == [0, 0]
    for one in found:
        assert any("train/d_adversarial" in row for row in one.history)
        assert 0 <= one.summary["val/auroc"] <= 1


@pytest.mark.usefixtures("nobody")
def test_a_job_that_takes_a_training_over_sends_its_curves(tmp_path: Path) -> None:
    wandb = ["logger=wandb", "logger.wandb.mode=offline"]
    result = call(tmp_path, "-m", *SMALL, *wandb, "max_images=320", "search.lambda_=0.1,0.2")
    assert result.stdout.count("takes over the training of") == 1, result.stderr
    folders = sorted(path.parent for path in (tmp_path / "multirun").rglob("metrics.json"))
    curves = [
        [{key: value for key, value in row.items() if key.startswith("train/d_")} for row in OfflineRun(folder).history]
        for folder in folders
    ]
    trained, taken_over = ([row for row in rows if row] for rows in curves)
    assert trained
    assert taken_over == trained
