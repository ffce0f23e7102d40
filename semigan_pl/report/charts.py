"""Drawings of a run's numbers. Each function returns a drawing for `style.render`."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from sklearn.metrics import precision_recall_curve, roc_curve

from semigan_pl.report.run_files import Scores
from semigan_pl.report.style import LINE_STYLES, Drawing, Theme, plain

LOG_SPAN = 100.0  # positive scores that span more than this are drawn on a logarithmic axis
LARGEST = 1e100  # beyond it matplotlib's own arithmetic overflows
MOST_CLASSES = 16


def roc(scores: Scores, chosen: str) -> Drawing:
    """True positive rate over false positive rate: the chosen score, the other terms, the threshold's place."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.7, label="guessing")
        for name, values, look in _curves(scores, chosen, theme):
            false_positives, true_positives, _ = roc_curve(scores.labels, values)
            axes.plot(false_positives, true_positives, label=plain(name), **look)
        if scores.decisions is not None:
            called = scores.decisions == 1
            point = called[scores.labels == 0].mean(), called[scores.labels == 1].mean()
            _mark_threshold(axes, point, theme)
        axes.set(xlabel="false alarms, share of normal images", ylabel="found, share of anomalies")
        _unit_square(axes, "lower right")

    return draw


def precision_recall(scores: Scores, chosen: str) -> Drawing:
    """Precision over recall, with the prevalence as the level of guessing."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        axes.axhline(scores.labels.mean(), color=theme.muted, linewidth=0.7, label="guessing")
        for name, values, look in _curves(scores, chosen, theme):
            precision, recall, _ = precision_recall_curve(scores.labels, values)
            axes.plot(recall, precision, drawstyle="steps-post", label=plain(name), **look)
        if scores.decisions is not None and scores.decisions.any():
            called = scores.decisions == 1
            _mark_threshold(axes, (called[scores.labels == 1].mean(), scores.labels[called].mean()), theme)
        axes.set(xlabel="recall: found, share of anomalies", ylabel="precision: right, share of alarms")
        _unit_square(axes, "best")

    return draw


def histogram(scores: Scores, threshold: float | None) -> Drawing:
    """Scores of normal and of anomalous images, each as shares of its own label, with the threshold."""
    values = np.clip(scores.score, -LARGEST, LARGEST)
    place = None if threshold is None else float(np.clip(threshold, -LARGEST, LARGEST))
    edges, is_log = histogram_edges(values, place)

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        axes.set(xscale="log" if is_log else "linear", xlim=(edges[0], edges[-1]), ylabel="share of the label's images")
        looks = ((0, "normal", theme.normal, None), (1, "anomalous", theme.anomalous, "////"))
        for label, name, colour, hatch in looks:
            # What lies beyond the axis goes to the end bins.
            shown = np.clip(values[scores.labels == label], edges[0], edges[-1])
            if not len(shown):
                continue
            shares = np.full(len(shown), 1 / len(shown))
            look: dict[str, Any] = {"histtype": "stepfilled", "edgecolor": colour, "linewidth": 1.2, "hatch": hatch}
            fill = (colour, 0.30 if hatch is None else 0.12)
            axes.hist(shown, edges.tolist(), weights=shares, label=f"{name} ({len(shown):,})", facecolor=fill, **look)
        if place is not None:
            axes.axvline(place, color=theme.ink, linewidth=1.1, linestyle="--", label=f"threshold {place:.4g}")
        beyond = int(np.sum((values < edges[0]) | (values > edges[-1])))
        axes.set_xlabel("score" + (f"  ({beyond} beyond the axis: in the end bins)" if beyond else ""))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.legend(loc="best")

    return draw


def histogram_edges(values: np.ndarray, threshold: float | None, n_bins: int = 40) -> tuple[np.ndarray, bool]:
    """Edges of the bins, and whether they are logarithmic.

    The axis covers all scores, unless a few of them would squeeze the rest: then the central 99 % and the threshold.
    """
    low, high = np.quantile(values, [0.005, 0.995])
    if values.max() / 2 - values.min() / 2 <= high - low:
        low, high = values.min(), values.max()
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    if values.min() > 0 and low > 0 and high / low > LOG_SPAN:
        return np.geomspace(low, high, n_bins + 1), True
    margin = 0.03 * (high - low) or max(0.1, 0.1 * abs(high))
    return np.linspace(low - margin, high + margin, n_bins + 1), False


def class_dots(aurocs: dict[str, float], known: set[str]) -> Drawing:
    """AUROC of each anomalous class against the normal images, the hardest first."""
    names = sorted(aurocs, key=lambda name: aurocs[name])[:MOST_CLASSES]

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        looks = ((True, "known in training", "D", theme.anomalous), (False, "never seen in training", "o", "none"))
        for is_known, label, marker, face in looks:
            rows = [row for row, name in enumerate(names) if (name in known) == is_known]
            if rows:
                x = [aurocs[names[row]] for row in rows]
                axes.plot(x, rows, marker, markerfacecolor=face, markeredgecolor=theme.anomalous, label=label, zorder=3)
        axes.hlines(range(len(names)), 0, 1, color=theme.rule, linewidth=0.6)
        axes.axvline(0.5, color=theme.muted, linewidth=1, linestyle=":")
        axes.set_yticks(range(len(names)), labels=[plain(name, 18) for name in names])
        axes.set(xlabel="AUROC", ylim=(len(names) - 0.4, -0.6))
        axes.set_xlim(min(0.45, min(aurocs.values()) - 0.03), 1.015)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=2)  # the axes may be narrow beside long names

    return draw


def training_curves(images_seen: np.ndarray, columns: dict[str, np.ndarray]) -> Drawing:
    """Values by images seen: thin as logged, bold as a running median of about a twentieth of the training."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        for number, (name, column) in enumerate(columns.items()):
            there = np.isfinite(column) & np.isfinite(images_seen)
            x, y = images_seen[there], np.clip(column[there], -LARGEST, LARGEST)
            style = ("-", *LINE_STYLES)[number % (1 + len(LINE_STYLES))]
            marker = "." if len(x) == 1 else ""
            (line,) = axes.plot(x, running_median(y), linestyle=style, marker=marker, label=plain(name))
            axes.plot(x, y, color=line.get_color(), linewidth=0.5, alpha=0.35)
        together = np.concatenate([column[np.isfinite(column)] for column in columns.values()])
        low, high = np.clip(np.quantile(together, [0.005, 0.995]), -LARGEST, LARGEST)
        margin = 0.08 * (high - low) or max(0.1, 0.1 * abs(high))
        axes.set(xlabel="images seen", ylim=(low - margin, high + margin))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if len(columns) > 1:  # a single line is named by the caption
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)

    return draw


def running_median(values: np.ndarray) -> np.ndarray:
    """Median over a centred window of about a twentieth of the values; short at the ends. (n,) -> (n,)"""
    half = len(values) // 40
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def _curves(scores: Scores, chosen: str, theme: Theme) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    others = [name for name in scores.terms if name != chosen]
    for number, name in enumerate(others):
        colour, style = theme.others[number % len(theme.others)], LINE_STYLES[number % len(LINE_STYLES)]
        yield name, scores.terms[name], {"color": colour, "linestyle": style, "linewidth": 1.2}
    yield chosen, scores.score, {"color": theme.normal, "linewidth": 2.2}


def _mark_threshold(axes: Axes, point: tuple[float, float], theme: Theme) -> None:
    look: dict[str, Any] = {"markersize": 7, "markerfacecolor": theme.paper, "markeredgecolor": theme.ink}
    axes.plot(*point, "o", label="at the threshold", markeredgewidth=1.4, zorder=5, clip_on=False, **look)


def _unit_square(axes: Axes, legend: Literal["best", "lower right"]) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc=legend)
