"""Charts of W&B that lie over those of other runs: which of its own designs they use, and under which names."""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """One chart."""

    key: str  # under which it is logged
    preset: str  # W&B's design
    named: dict[str, str]  # what the design calls the kind, across and up -> column of the chart's table
    strings: dict[str, str]  # titles

    @property
    def table(self) -> str:
        """Under which W&B keeps the chart's rows in the summary."""
        return f"{self.key}_table"


ROC = Look(
    "roc",
    "wandb/area-under-curve/v0",
    {"class": "class", "x": "fpr", "y": "tpr"},
    {
        "title": "ROC on the test set",
        "x-axis-title": "false alarms, share of normal images",
        "y-axis-title": "found, share of anomalies",
    },
)
HISTOGRAM = Look(
    "scores",
    "wandb/lineseries/v0",
    {"lineKey": "lineKey", "step": "step", "lineVal": "lineVal"},
    {"title": "Scores of the test images, each kind as shares of its own images", "xname": "score"},
)
