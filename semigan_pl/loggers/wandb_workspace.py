"""The workspace of a W&B project in which gammas are compared."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from semigan_pl.loggers import wandb_panels as panels
from semigan_pl.loggers.wandb_panels import TITLE, Found

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

MOST_RUNS = 100  # in one panel: W&B's own 10 would show a corner of a sweep


def make_workspace(entity: str, project: str, found: Found) -> Workspace:
    """Sections over gamma, of score charts, curves and media; the table of runs by sweep, setting and seed."""
    from wandb_workspaces.expr import Config, Metric
    from wandb_workspaces.workspaces import RunsetSettings, Section, Workspace, WorkspaceSettings

    parts = {
        "Over gamma": panels.over_gamma(found, by_contamination=True) if found.gammas else [],
        "Means": [] if found.gammas and len(found.contaminations) > 1 else panels.bars(found),  # the report has them
        "Scores of the test images": panels.score_charts(),
        "Curves by images seen": panels.curves(found),
        "Media": panels.media(),
        "Numbers and options": panels.differences(),
    }
    shown = [Section(name=name, panels=several, is_open=True) for name, several in parts.items() if several]
    runs = RunsetSettings(
        filters=panels.finished(),
        groupby=[Metric("Group"), *map(Config, found.setting)],
        pinned_columns=panels.columns(found),
    )
    settings = WorkspaceSettings(x_axis="images_seen", max_runs=MOST_RUNS)
    workspace = Workspace(entity, project, TITLE, sections=shown, settings=settings, runset_settings=runs)
    workspace._internal_name = view_name(entity, project)
    return workspace


def view_name(entity: str, project: str) -> str:
    """W&B's own name for the view, which it draws by lot: here always the same, so that it is found again."""
    return f"nw-{hashlib.sha256(f'{entity}/{project}/{TITLE}'.encode()).hexdigest()[:11]}-v"


def existing_workspace(entity: str, project: str) -> str:
    """The id that the server has given to our view of the project; empty where there is none.

    Raises ValueError where there is no such project, or the view is of a later version.
    """
    from wandb_workspaces.workspaces import internal

    name = view_name(entity, project)
    slug = internal._internal_name_to_url_query_str(name)
    try:
        return str(internal.get_view_dict(entity, project, slug)["id"])
    except ValueError as error:
        if str(error).startswith(f"Workspace `{slug}` not found"):
            return ""
        raise
