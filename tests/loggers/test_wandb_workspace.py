"""The workspace and the report as they would be sent: built and checked by the models of wandb-workspaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from semigan_pl.loggers.contents import figures
from semigan_pl.loggers.wandb_panels import FIGURES, Found
from semigan_pl.loggers.wandb_report import make_report
from semigan_pl.loggers.wandb_run import WandbRun
from semigan_pl.loggers.wandb_workspace import make_workspace, view_name
from semigan_pl.report.page import write_report
from semigan_pl.report.run_files import read_run
from tests.loggers.offline_run import OfflineRun

pytest.importorskip("wandb_workspaces")
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")  # of that package

METRICS = {"test/auroc": "AUROC", "test/f1": "F1", "test/average_precision": "average precision"}
SWEEP = Found([0.0, 0.1, 0.2], [0.5, 1.0], METRICS, ["train/d_adversarial", "val/auroc"], [])
CLASSICAL = SWEEP._replace(gammas=[])
Spec = dict[str, Any]


def workspace(found: Found) -> Spec:
    return json.loads(make_workspace("team", "p", found)._to_model().spec.model_dump_json(by_alias=True))["section"]


def report(found: Found) -> dict[str, Spec]:
    """Heading -> the grid below it."""
    spec = json.loads(make_report("team", "p", found)._to_model().spec.model_dump_json(by_alias=True))
    grids, heading = {}, ""
    for block in spec["blocks"]:
        if block["type"] == "heading":
            heading = block["children"][0]["text"]
        elif block["type"] == "panel-grid":
            grids[heading] = block["metadata"]
    return grids


def sections(spec: Spec) -> dict[str, list[Spec]]:
    return {one["name"]: one["panels"] for one in spec["panelBankConfig"]["sections"]}


def of_type(panels: list[Spec], kind: str) -> list[Spec]:
    return [panel["config"] for panel in panels if panel["viewType"] == kind]


def everywhere(value: Any) -> Iterator[str]:
    """All words of a spec."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from everywhere(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("place", ["workspace", "report"])
def test_every_metric_is_drawn_over_gamma_with_a_line_for_each_contamination(place: str) -> None:
    panels = (
        sections(workspace(SWEEP))["Over gamma"]
        if place == "workspace"
        else report(SWEEP)["Over gamma"]["panelBankSectionConfig"]["panels"]
    )
    lines = of_type(panels, "Run History Line Plot")
    assert [(one["xAxis"], *one["metrics"]) for one in lines] == [("gamma", key) for key in METRICS]
    assert {(one["groupBy"], one["groupAgg"], one["aggregate"]) for one in lines} == {
        ("data.value.contamination", "mean", True)
    }
    points = of_type(panels, "Scatter Plot")
    assert [one["yAxis"] for one in points] == [f"summary:{key}" for key in METRICS]
    assert {(one["xAxis"], one["zAxis"]) for one in points} == {
        ("config:model.value.gamma", "config:data.value.contamination")
    }


def test_each_contamination_has_a_section_of_its_own_runs() -> None:
    grids = report(SWEEP)
    assert list(grids) == [
        *("Over gamma", "Contamination 0", "Contamination 0.1", "Contamination 0.2"),
        *("Curves by images seen", "Media", "Numbers and options"),
    ]
    for contamination in SWEEP.contaminations:
        grid = grids[f"Contamination {contamination:g}"]
        (runs,) = grid["runSets"]
        filters = {(one["key"]["name"], one["op"]): one["value"] for one in runs["filters"]["filters"]}
        assert filters == {("state", "="): "finished", ("data.value.contamination", "IN"): [contamination]}
        assert runs["project"] is None  # the report's own
        bars = of_type(grid["panelBankSectionConfig"]["panels"], "Bar Chart")
        assert [one["metrics"] for one in bars] == [[key] for key in METRICS]
        assert {one["groupBy"] for one in bars} == {"model.value.gamma"}


def test_panels_of_a_report_do_not_lie_on_one_another() -> None:
    for grid in report(SWEEP).values():
        places = [(panel["layout"]["x"], panel["layout"]["y"]) for panel in grid["panelBankSectionConfig"]["panels"]]
        assert len(set(places)) == len(places)
        assert {x for x, _ in places} <= {0, 8, 16}


def test_runs_are_grouped_by_sweep_then_by_setting() -> None:
    (runs,) = workspace(SWEEP)["runSets"]
    assert [(one["section"], one["name"]) for one in runs["grouping"]] == [
        ("run", "group"),
        ("config", "model.value.name"),
        ("config", "data.value.contamination"),
        ("config", "model.value.gamma"),
    ]
    assert runs["runFeed"]["columnOrder"][1:] == [
        *("config:model.value.name", "config:data.value.contamination", "config:model.value.gamma"),
        *("config:seed.value", "summary:test/auroc", "summary:test/f1", "summary:test/average_precision"),
    ]


def test_where_no_method_has_a_gamma_contaminations_are_compared() -> None:
    assert "Over gamma" not in sections(workspace(CLASSICAL)) | report(CLASSICAL)
    assert not of_type(
        [panel for several in sections(workspace(CLASSICAL)).values() for panel in several], "Scatter Plot"
    )
    bars = of_type(sections(workspace(CLASSICAL))["Means"], "Bar Chart")
    assert {one["groupBy"] for one in bars} == {"data.value.contamination"}


def test_the_name_is_the_same_on_every_start_and_another_in_every_project() -> None:
    first, again = (make_workspace("team", "p", found)._to_model() for found in (SWEEP, CLASSICAL))
    assert first.name == again.name == view_name("team", "p")
    assert len({view_name("team", "p"), view_name("team", "q"), view_name("other", "p")}) == 3


@pytest.mark.usefixtures("nobody")
def test_what_the_panels_show_is_what_a_run_logs(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    write_report(folder)
    wandb_run = WandbRun(str(folder), "tests", None, None, [], "offline", connect_timeout=5.0, upload_timeout=5.0)
    wandb_run.log_metrics({"train/d_adversarial": 1.0, "val/auroc": 0.5}, step=64)
    wandb_run.log_run(folder, json.loads((folder / "metrics.json").read_text()))
    wandb_run.close()
    found = OfflineRun(folder)
    logged = {key.removesuffix(".path") for row in found.history for key in row}
    assert {"gamma", "images_seen", *METRICS, *SWEEP.curves} <= logged
    said = set(everywhere(workspace(SWEEP)))
    media = {
        word for word in said if word in ("samples", "examples", "roc_table", "scores_table") or "figures/" in word
    }
    assert media == {"samples", "examples", "roc_table", "scores_table", *(f"figures/{name}" for name in FIGURES)}
    assert media <= logged
    assert set(FIGURES) <= set(figures(read_run(folder)))
