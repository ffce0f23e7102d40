"""experiments/wandb_sweep.yaml in the hands of W&B's own agent, but for its server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import wandb.wandb_agent
import yaml

from semigan_pl.loggers.wandb_session import start
from tests.commands import ROOT, SMALL, call
from tests.conftest import compose_config
from tests.loggers.offline_run import OfflineRun

SWEEP = ROOT / "experiments" / "wandb_sweep.yaml"
RUN_ID, SWEEP_ID = "abc12345", "sweep678"


@pytest.fixture
def sweep() -> dict[str, Any]:
    return yaml.safe_load(SWEEP.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def agent(nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment that an agent gives its jobs, in a folder of its own."""
    given = {
        "SWEEP_ID": SWEEP_ID,
        "RUN_ID": RUN_ID,
        "PROJECT": "of_the_sweep",
        "ENTITY": "team",
        "SWEEP_PARAM_PATH": "",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return tmp_path


class Job:
    """A process that was not started."""

    last_sigterm_time: float | None = None


def launched(sweep: dict[str, Any], values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What W&B's agent would execute for one choice of values."""
    commands = list[list[str]]()

    def started(command: list[str], **options: Any) -> Job:
        commands.append(command)
        return Job()

    monkeypatch.setattr(wandb.wandb_agent, "AgentProcess", started)
    api: Any = None
    agent = wandb.wandb_agent.Agent(api, None, sweep_id=SWEEP_ID)
    agent._sweep_command = list(sweep["command"])
    args = {name: {"value": value} for name, value in values.items()}
    agent._command_run({"run_id": RUN_ID, "program": sweep["program"], "args": args})
    return commands[0]


def corner(sweep: dict[str, Any], place: int) -> dict[str, Any]:
    return {name: one["values"][place] for name, one in sweep["parameters"].items()}


@pytest.mark.parametrize("place", [0, -1])
def test_every_corner_of_the_grid_is_an_experiment(
    place: int, sweep: dict[str, Any], agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = corner(sweep, place)
    env, python, program, *typed = launched(sweep, values, monkeypatch)
    assert (env, python, program) == ("/usr/bin/env", "python", "run.py")
    config = compose_config(*typed)
    assert config.model.gamma == values["model.gamma"]
    assert config.data.contamination == values["data.contamination"]
    assert config.seed == values["seed"]
    assert config.run == f"outputs/wandb_sweep/{RUN_ID}"
    assert "wandb" in config.logger
    assert sweep["metric"] == {"name": config.objective, "goal": "maximize"}


@pytest.mark.filterwarnings("ignore:.*config-abc12345:pytest.PytestUnraisableExceptionWarning")  # W&B leaves it open
def test_a_job_of_an_agent_is_the_run_that_the_sweep_waits_for(
    sweep: dict[str, Any], agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = launched(sweep, corner(sweep, -1), monkeypatch)[3:]
    result = call(agent, *typed, *SMALL, "max_images=64", "logger.wandb.mode=offline")
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr
    found = OfflineRun(agent / "outputs" / "wandb_sweep" / RUN_ID)
    assert (found.run.run_id, found.run.sweep_id, found.run.project) == (RUN_ID, SWEEP_ID, "of_the_sweep")
    assert list(found.run.tags) == ["semigan", "digits"]
    assert (
        found.config["model"]["gamma"]
        == found.config["model.gamma"]
        == sweep["parameters"]["model.gamma"]["values"][-1]
    )
    assert found.exit_code == 0
    assert 0 <= found.summary["val/auroc"] <= 1


def test_without_an_agent_the_id_of_the_environment_is_not_ours(
    nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all jobs of a multirun that is started there would be one run."""
    monkeypatch.setenv("WANDB_RUN_ID", RUN_ID)
    run = start(tmp_path / "run", "offline", connect_timeout=5, upload_timeout=5, project="tests")
    run.finish()
    assert OfflineRun(tmp_path / "run").run.run_id != RUN_ID
    assert "WANDB_SWEEP_ID" not in os.environ
