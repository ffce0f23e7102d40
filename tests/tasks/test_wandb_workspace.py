"""task=wandb_workspace: against a stand-in for W&B's server that keeps views as it does, and without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from semigan_pl.tasks import wandb_workspace as task
from tests.commands import call
from tests.loggers.conftest import nobody
from tests.report.sweep_runs import make_run

__all__ = ["nobody"]

needs_package = pytest.mark.skipif(task.find_spec("wandb_workspaces") is None, reason="needs wandb-workspaces")
pytestmark = [
    pytest.mark.usefixtures("nobody"),
    pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning"),  # of that package
]
TYPED = ("task=wandb_workspace", "logger.entity=team", "logger.project=p")


class Server:
    """What wandb.Api knows of one project, and the views that were saved there."""

    default_entity = "me"

    def __init__(self, runs: list[Any]) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.held = runs
        self._service_api = SimpleNamespace(app_url="https://wandb.example", execute_graphql=self.graphql)

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" in query:
            view = {**variables, "id": variables.get("id") or f"view{len(self.views)}"}
            self.views[view["id"]] = view
            project = {"id": "1", "name": view["projectName"], "entityName": view["entityName"]}
            return {"upsertView": {"view": {**view, "project": project, "updatedAt": None}}}
        found = [view for view in self.of("project-view") if view["name"] == variables["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [view for view in self.views.values() if view["type"] == kind]

    def runs(self, path: str, filters: dict[str, Any], lazy: bool) -> list[Any]:
        if path == "team/gone":
            raise ValueError("Could not find project gone")
        assert (filters, lazy) == ({"state": "finished"}, False)
        return self.held

    def reports(self, path: str) -> Iterator[Any]:
        for view in self.of("runs"):
            yield SimpleNamespace(id=view["id"], display_name=view["displayName"], created_at=view["id"])

    def projects(self, entity: str) -> list[Any]:
        return [SimpleNamespace(name="p"), SimpleNamespace(name="semigan_pl")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that can be reached with a key, and holds four finished runs."""
    runs = [
        SimpleNamespace(
            config={"data": {"contamination": contamination}, "model": {"gamma": gamma}},
            summary_metrics={"test/auroc": 0.9, "test/f1": None, "train/d_adversarial": 1.0, "train/seconds": 5.0},
        )
        for contamination in (0.1, 0)
        for gamma in (1, 0.5)
    ]
    server = Server(runs)
    monkeypatch.setattr(wandb, "Api", lambda: server)
    monkeypatch.setattr(task, "connect", lambda settings, timeout: None)
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    return server


@needs_package
def test_a_second_start_changes_the_same_workspace_and_report(server: Server, tmp_path: Path) -> None:
    first = call(tmp_path, *TYPED)
    assert first.returncode == 0, first.stderr
    (workspace,), (report,) = server.of("project-view"), server.of("runs")
    server.held.append(
        SimpleNamespace(config={"data": {"contamination": 0.2}, "model": {}}, summary_metrics={"test/auroc": 0.5})
    )
    again = call(tmp_path, *TYPED)
    assert again.stdout == first.stdout
    (workspace_after,), (report_after,) = server.of("project-view"), server.of("runs")
    assert (workspace_after["id"], workspace_after["name"]) == (workspace["id"], workspace["name"])
    assert report_after["id"] == report["id"]
    assert "Contamination 0.2" in report_after["spec"]
    assert "Contamination 0.2" not in report["spec"]
    assert (workspace["entityName"], workspace["projectName"]) == ("team", "p")
    said = first.stdout.splitlines()
    assert [line.partition(": ")[0] for line in said] == ["W&B workspace", "W&B report"]
    assert all("https://wandb.example/team/p" in line for line in said)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]  # that of `nobody`


@needs_package
def test_nothing_else_of_the_project_is_touched(server: Server, tmp_path: Path) -> None:
    theirs = {
        "a": {"id": "a", "type": "project-view", "name": "nw-theirs-v", "displayName": "My own", "spec": "{}"},
        "b": {"id": "b", "type": "runs", "name": "r", "displayName": "My own", "spec": "{}"},
    }
    server.views |= json.loads(json.dumps(theirs))
    for _ in range(2):
        assert call(tmp_path, *TYPED).returncode == 0
    assert {key: server.views[key] for key in theirs} == theirs
    assert len(server.views) == 4


@needs_package
def test_without_more_typed_it_goes_into_the_account_s_own_project(server: Server, tmp_path: Path) -> None:
    done = call(tmp_path, "task=wandb_workspace")
    assert done.returncode == 0, done.stderr
    assert {(view["entityName"], view["projectName"]) for view in server.views.values()} == {("me", "semigan_pl")}


@needs_package
def test_runs_in_folders_tell_what_there_is(server: Server, tmp_path: Path) -> None:
    for gamma, contamination in ((1, 0.05), (0.5, 0.3)):
        make_run(tmp_path / f"multirun/g{gamma}", gamma, contamination)
    server.held.clear()
    done = call(tmp_path, *TYPED, "runs=multirun")
    assert done.returncode == 0, done.stderr
    (report,) = server.of("runs")
    assert [f"Contamination {share}" in report["spec"] for share in (0.05, 0.3, 0.1)] == [True, True, False]


def test_what_is_found_in_runs() -> None:
    runs: list[task.Run] = [
        (
            {"data.contamination": 0.1, "model.gamma": 1},
            {"test/auroc": 0.9, "other": 1.0},
            ["images_seen", "val/auroc"],
        ),
        ({"data.contamination": 0, "model.gamma": 0.5}, {"test/f1": None}, ["train/g", "health/swd", "train/seconds"]),
        ({"data.contamination": "${x}"}, {"test/f1_max": float("nan")}, []),
    ]
    found = task.found_in(runs)
    assert (found.contaminations, found.gammas) == ([0.0, 0.1], [0.5, 1.0])
    assert list(found.metrics) == ["test/auroc", "test/f1_max"]
    assert found.curves == ["train/g", "health/swd", "val/auroc"]


def said(tmp_path: Path, *typed: str) -> str:
    done = call(tmp_path, *typed)
    assert done.returncode == 1
    assert not list(tmp_path.glob("outputs/*/*/*"))
    return done.stderr


@needs_package
def test_what_is_missing_is_said_in_a_sentence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "error: runs=gone is not there" in said(tmp_path, *TYPED, "runs=gone")
    refused = said(tmp_path, *TYPED, "logger.wandb.project=gone")
    assert "did not take it (Could not find project gone): correct entity, project or key" in refused
    server.held.clear()
    assert "error: team/p holds no finished run that could be compared: make some" in said(tmp_path, *TYPED)
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()  # it remembers the key
    assert "needs the API key of a W&B account: `wandb login` stores it" in said(tmp_path, *TYPED)
    monkeypatch.setattr(task, "find_spec", lambda name: None)
    assert "needs a package that is not here: pip install wandb-workspaces" in said(tmp_path, *TYPED)


@needs_package
def test_a_server_that_cannot_be_reached_gets_a_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(settings: Any, timeout: float) -> None:
        raise ConnectionError("http://nowhere: refused")

    monkeypatch.setattr(task, "connect", refused)
    sentence = said(tmp_path, *TYPED)
    assert sentence == "error: W&B is not available (http://nowhere: refused): nothing was saved, start it again later"
    assert not server.views
