"""The report of a W&B project: gamma, then a section for each contamination, curves, media, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semigan_pl.loggers import wandb_panels as panels
from semigan_pl.loggers.wandb_panels import TITLE, Found

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import PanelGrid, Report

INTRODUCTION = (
    "Runs that agree in method, contamination and gamma are averaged over their seeds. In theory all contamination of "
    "known kinds is gone at and below gamma = 1 - contamination: there a plateau begins, no peak."
)


def make_report(entity: str, project: str, found: Found) -> Report:
    """All sections; those of one contamination hold its runs only."""
    from wandb_workspaces.reports.v2 import H1, P, Report, TableOfContents

    parts: list[tuple[str, PanelGrid]] = []
    if found.gammas:
        parts.append(("Over gamma", _grid(found, panels.over_gamma(found, by_contamination=True))))
    for contamination in found.contaminations:
        over = panels.over_gamma(found, by_contamination=False) if found.gammas else []
        several = [*over, *panels.bars(found), *panels.score_charts()]
        parts.append((f"Contamination {contamination:g}", _grid(found, several, contamination)))
    parts.append(("Curves by images seen", _grid(found, panels.curves(found))))
    parts.append(("Media", _grid(found, panels.media())))
    parts.append(("Numbers and options", _grid(found, panels.differences())))
    blocks: list[Any] = [TableOfContents(), P(INTRODUCTION)]
    for heading, grid in parts:
        blocks += [H1(heading), grid]
    described = "Test metrics against gamma under hidden contamination"
    return Report(project=project, entity=entity, title=TITLE, description=described, blocks=blocks, width="fluid")


def _grid(found: Found, several: panels.Panels, contamination: float | None = None) -> PanelGrid:
    """Panels three in a row above the table of their runs; a run set without a project is the report's own."""
    from wandb_workspaces.reports.v2 import Layout, PanelGrid, Runset

    for place, panel in enumerate(several):
        panel.layout = Layout(x=place % 3 * 8, y=place // 3 * 6, w=8, h=6)
    name = "all runs" if contamination is None else f"contamination {contamination:g}"
    runs = Runset(
        name=name,
        filters=panels.finished(contamination),
        groupby=["group", *(f"config.{key}" for key in found.setting)],
        pinned_columns=panels.columns(found),
    )
    return PanelGrid(runsets=[runs], panels=several)


def existing_report(reports: Any) -> str:
    """The id of our report among `wandb.Api().reports(...)`, the first of several; empty where there is none."""
    ours = [report for report in reports if report.display_name == TITLE]
    return str(min(ours, key=lambda report: str(report.created_at)).id) if ours else ""
