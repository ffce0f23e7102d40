"""The panels by which runs are compared in W&B, in its own words: they stand in the workspace and in the report.

W&B writes an option of the config `data.value.contamination` where it filters, and `data.contamination` elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from semigan_pl.loggers.wandb_charts import HISTOGRAM, ROC, Look
from semigan_pl.report.sweep_axes import CONTAMINATION, GAMMA

if TYPE_CHECKING:
    from wandb_workspaces.expr import And

TITLE = "Gamma under contamination"  # by which the workspace and the report are found again
SETTING = ("model.name", CONTAMINATION, GAMMA)  # what every table of runs shows
# Options that tell settings apart as well where they vary: only runs that agree in all of them, the seeds, are averaged
FURTHER = (
    *("data.name", "data.normal_classes", "data.known_classes", "data.known_anomalies", "data.outlier_share"),
    *("data.fold", "data.category", "data.image_size", "loss._target_", "network.size", "max_images"),
)
FIGURES = ("roc", "precision_recall", "histogram", "classes")
Panels = list[Any]  # W&B's panels have no type in common that is public


class Found(NamedTuple):
    """What the runs of a project have to compare."""

    contaminations: list[float]
    gammas: list[float]  # empty: their methods have none
    metrics: dict[str, str]  # key -> heading
    curves: list[str]  # columns of metrics.csv
    further: list[str]  # those of FURTHER that vary

    @property
    def setting(self) -> list[str]:
        """The options in which the seeds of a setting agree."""
        return [*SETTING, *self.further]


def finished(contamination: float | None = None) -> And:
    """Only whole runs, and only those of one contamination."""
    from wandb_workspaces.expr import And, Config, Metric

    whole: Any = Metric("State") == "finished"
    if contamination is None:
        return And(whole)
    # `in [...]`, because W&B's app has been seen to ignore `=` on options of a config
    return And(whole, Config(CONTAMINATION.replace(".", ".value.", 1)).isin([contamination]))


def columns(found: Found) -> list[str]:
    """Of the table of runs: the setting, the seed, all metrics."""
    options = [f"config:{key.replace('.', '.value.', 1)}" for key in found.setting]
    return ["run:displayName", *options, "config:seed.value", *(f"summary:{key}" for key in found.metrics)]


def over_gamma(found: Found, by_contamination: bool) -> Panels:
    """Each metric against gamma: a line for each contamination, and every setting as a point.

    Where more than gamma and contamination varies, a line for each group of runs in the table below instead.
    """
    from wandb_workspaces.reports.v2 import Config, LinePlot, ScatterPlot, SummaryMetric

    lines: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    if not found.further:
        lines["groupby"] = Config(CONTAMINATION if by_contamination else "model.name")
    panels: Panels = []
    for key, heading in found.metrics.items():
        panels.append(LinePlot(title=f"{heading} over gamma", x="gamma", y=[key], title_x="gamma", **lines))
        colour = Config(CONTAMINATION) if by_contamination else None
        title = f"{heading} over gamma, each setting"
        panels.append(ScatterPlot(title=title, x=Config(GAMMA), y=SummaryMetric(key), z=colour))
    return panels


def bars(found: Found) -> Panels:
    """Each metric in bars, one for each gamma, or for each contamination where there is none: mean and deviation.

    Of the runs of one contamination; none where more varies, over which a bar would take the mean.
    """
    from wandb_workspaces.reports.v2 import BarPlot, Config

    if found.further:
        return []
    option = Config(GAMMA if found.gammas else CONTAMINATION)
    spread: dict[str, Any] = {"groupby": option, "groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    return [BarPlot(title=heading, metrics=[key], **spread) for key, heading in found.metrics.items()]


def curves(found: Found) -> Panels:
    """What was logged while training, by images seen."""
    from wandb_workspaces.reports.v2 import LinePlot

    return [LinePlot(title=key, x="images_seen", y=[key], title_x="images seen") for key in found.curves]


def score_charts() -> Panels:
    """ROC curves and histograms of the scores, runs over one another."""
    return [_chart(ROC), _chart(HISTOGRAM)]


def _chart(look: Look) -> Any:
    from wandb_workspaces.reports.v2 import CustomChart

    chart: Any = CustomChart.from_table(look.table, look.named, look.strings)
    chart.chart_name = look.preset
    return chart


def media() -> Panels:
    """Generated samples, figures, and the table of test images."""
    from wandb_workspaces.reports.v2 import MediaBrowser, WeavePanelSummaryTable

    return [
        MediaBrowser(title="generated samples", media_keys=["samples"], num_columns=2),
        *(MediaBrowser(title=name, media_keys=[f"figures/{name}"], num_columns=2) for name in FIGURES),
        WeavePanelSummaryTable(table_name="examples"),
    ]


def differences() -> Panels:
    """What differs between runs, numbers and options, the command among them."""
    from wandb_workspaces.reports.v2 import RunComparer

    return [RunComparer(diff_only="split")]
