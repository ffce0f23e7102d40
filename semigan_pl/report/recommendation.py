"""What +sweep=recommend found, as files: recommendation.json, .md and .png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semigan_pl.atomic import write_bytes, write_json
from semigan_pl.evaluation.contamination import Contamination, Share
from semigan_pl.evaluation.gamma_choice import Choice, Measured, ceiling
from semigan_pl.report.style import LIGHT, Drawing, Theme, render

BINS = 40
FEW = 20  # known anomalies; with 10 the upper bound of a contamination of 0.1 lies near 0.3
TAIL = 0.005  # of all scores, at either end, that the histogram's axis leaves to its end bins
METHOD = """\
The share of unlabelled images that score at least the threshold, over the same share of known anomalies, is the
contamination as far as no normal image scores so high: those that do are counted too, anomalies of unknown kinds are
not, and chance moves it within the interval. In theory gamma = 1 - contamination is the largest that removes all known
kinds, with a plateau below. Images and scores are those of validation; no label of an unlabelled image and no test
image took part."""


class HeldOut(NamedTuple):
    """Scores of the images that a run was not trained on."""

    pool: np.ndarray  # (U,) unlabelled
    known: np.ndarray  # (K,) known anomalies


class Recommendation(NamedTuple):
    """A gamma and what speaks for it. Lists by seed are in the order of `seeds`."""

    objective: str
    seeds: list[str]
    level: float
    pilot: float
    held_out: list[HeldOut]
    estimates: list[Contamination]
    contamination: Share
    objectives: dict[float, list[float | None]]  # by gamma and seed; None: failed
    measured: dict[float, Measured]  # of the gammas that were compared
    choice: Choice
    trained: list[str]  # folders of the runs with the chosen gamma
    command: str


def write_recommendation(folder: Path, found: Recommendation) -> Path:
    """Writes the three files into a folder; returns the one to read first."""
    write_bytes(folder / "recommendation.png", render(picture(found), LIGHT, height=3.6, width=9.2))
    write_json(folder / "recommendation.json", as_json(found))
    write_bytes(folder / "recommendation.md", as_markdown(found).encode())
    return folder / "recommendation.md"


def as_json(found: Recommendation) -> dict[str, Any]:
    """All but the scores, which are in the runs' validation.csv."""
    return {
        "gamma": found.choice.gamma,
        "reason": found.choice.reason,
        "command": found.command,
        "trained": found.trained,
        "contamination": found.contamination._asdict() | {"informative": found.contamination.is_informative},
        "level": found.level,
        "pilot": found.pilot,
        "pilots": [
            {"seed": seed} | estimate._asdict() | {"share": estimate.share._asdict()}
            for seed, estimate in zip(found.seeds, found.estimates, strict=True)
        ],
        "objective": found.objective,
        "best": found.choice.best,
        "tolerance": found.choice.tolerance,
        "gammas": [
            {"gamma": gamma, "by_seed": values}
            | (found.measured[gamma]._asdict() if gamma in found.measured else {"mean": None, "error": None})
            for gamma, values in found.objectives.items()
        ],
        "missing": [gamma for gamma in found.objectives if gamma not in found.measured],
    }


def as_markdown(found: Recommendation) -> str:
    """The same to read."""
    choice = found.choice
    rows = [
        f"| {'**' * (gamma == choice.gamma)}{gamma:g}{'**' * (gamma == choice.gamma)} | "
        + (f"{of.mean:.4f} ± {of.error:.4f}" if (of := found.measured.get(gamma)) else "failed")
        + f" | {', '.join('failed' if value is None else f'{value:.4f}' for value in values)} |"
        for gamma, values in found.objectives.items()
    ]
    pilots = [
        f"| {seed or 'the default'} | {one.share.value:.3f} ({one.share.low:.3f} to {one.share.high:.3f}) | "
        f"{one.threshold:.4g} | {one.auroc:.3f} | {one.n_pool:,} | {one.n_known:,} |"
        for seed, one in zip(found.seeds, found.estimates, strict=True)
    ]
    return "\n".join(
        [
            f"# gamma = {choice.gamma:g}",
            "",
            f"It is {choice.reason}.",
            *edge_words(found),
            "",
            "```",
            found.command,
            "```",
            "",
            *contamination_words(found.contamination, found.level, found.estimates),
            *missing_words(found),
            "",
            "![Objective against gamma, and held-out scores](recommendation.png)",
            "",
            f"| gamma | {found.objective} ± standard error | by seed |",
            "|---|---|---|",
            *rows,
            "",
            f"| pilot (gamma {found.pilot:g}) | contamination | threshold | AUROC | unlabelled | known |",
            "|---|---|---|---|---|---|",
            *pilots,
            "",
            METHOD,
            "",
        ]
    )


def contamination_words(contamination: Share, level: float, estimates: Sequence[Contamination]) -> list[str]:
    """What is known of the contamination, in sentences."""
    words = [
        f"Contamination: {contamination.value:.3f} of the unlabelled images, {100 * level:g} % interval"
        f" {contamination.low:.3f} to {contamination.high:.3f}. Kinds of anomaly that nobody knows are not counted."
    ]
    if not contamination.is_informative:
        auroc = float(np.mean([estimate.auroc for estimate in estimates]))
        words = [
            "Contamination: it cannot be told from these scores, in which the held-out known anomalies do not stand out"
            f" enough (AUROC {auroc:.3f} against the unlabelled images, {estimates[0].n_known} of them): it may be up"
            f" to {contamination.high:.2f}. Validation alone decides."
        ]
    if estimates[0].n_known < FEW:
        words.append(
            f"Only {estimates[0].n_known} known anomalies are held out, which makes all of this coarse: more"
            " data.known_anomalies= or data.validation_share= hold out more."
        )
    return words


def missing_words(found: Recommendation) -> list[str]:
    """Which gammas could not be compared."""
    missing = [f"{gamma:g}" for gamma in found.objectives if gamma not in found.measured]
    if not missing:
        return []
    return [f"Not compared, since jobs failed: gamma {', '.join(missing)}. The same command tries them again."]


def edge_words(found: Recommendation) -> list[str]:
    """Whether the search may have ended too early."""
    if not found.choice.is_smallest:
        return []
    return [
        "It is the smallest that was tried, and a smaller one may be better: hydra.sweeper.fractions= takes more,"
        " as parts of 1 - contamination."
    ]


def summary(found: Recommendation) -> list[str]:
    """What to say in the end."""
    chosen = found.measured[found.choice.gamma]
    return [
        *contamination_words(found.contamination, found.level, found.estimates),
        *missing_words(found),
        f"Chosen: gamma {found.choice.gamma:g}, {found.objective} {chosen.mean:.3f} ± {chosen.error:.3f} (standard"
        f" error): {found.choice.reason}.",
        *edge_words(found),
        f"To train with it: {found.command}",
        f"Trained with it already: {', '.join(found.trained)}",
    ]


def picture(found: Recommendation) -> Drawing:
    """Left: the objective against gamma. Right: the scores that the first pilot's estimate came from."""

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = figure.subplots(1, 2)
        _objective(left, found, theme)
        _scores(right, found.held_out[0], found.estimates[0], theme)

    return draw


def _objective(axes: Axes, found: Recommendation, theme: Theme) -> None:
    gammas = sorted(found.measured)
    means = [found.measured[gamma].mean for gamma in gammas]
    errors = [found.measured[gamma].error for gamma in gammas]
    if found.contamination.is_informative:
        share = found.contamination
        axes.axvspan(1 - share.high, 1 - share.low, color=theme.rule, alpha=0.6, linewidth=0)
        axes.axvline(ceiling(share), color=theme.muted, linestyle="--", linewidth=1.0, label="1 - estimate, interval")
    axes.errorbar(
        gammas, means, errors, color=theme.normal, marker="o", markersize=4, capsize=2, label="mean ± standard error"
    )
    chosen = found.choice.gamma
    look: dict[str, Any] = {
        "markersize": 13,
        "markerfacecolor": "none",
        "markeredgecolor": theme.anomalous,
        "markeredgewidth": 1.8,
    }
    axes.plot(chosen, found.measured[chosen].mean, "o", linestyle="", label=f"chosen: {chosen:g}", **look)
    axes.set(xlabel="gamma", ylabel=found.objective, title=f"Validation, seeds: {len(found.seeds)}")
    axes.legend()


def _scores(axes: Axes, scores: HeldOut, estimate: Contamination, theme: Theme) -> None:
    low, high = np.quantile(np.concatenate([scores.pool, scores.known]), [TAIL, 1 - TAIL])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for values, name, colour in (
        (scores.pool, "unlabelled", theme.normal),
        (scores.known, "known anomalies", theme.anomalous),
    ):
        shares = np.full(len(values), 1 / len(values))
        look: dict[str, Any] = {"histtype": "stepfilled", "edgecolor": colour, "facecolor": (colour, 0.25)}
        label = f"{name} ({len(values):,})"
        axes.hist(np.clip(values, edges[0], edges[-1]), edges.tolist(), weights=shares, label=label, **look)
    place = float(np.clip(estimate.threshold, edges[0], edges[-1]))
    axes.axvline(place, color=theme.ink, linestyle="--", linewidth=1.1, label="counted from here")
    axes.yaxis.set_major_formatter(lambda part, _: f"{100 * part:g} %")
    axes.set(xlabel="score", ylabel="share of its images", title="Held-out images, first pilot")
    axes.legend()
