"""What a run shows, in plain words, with what there is to hold against it."""

import math
from typing import NamedTuple

from semigan_pl.report.run_files import RunFiles
from semigan_pl.report.tables import Confusion, confusion, has_both_labels, number, score_terms

GRADES = (  # the least AUROC, and what it is called
    (0.99, "almost perfectly"),
    (0.95, "very well"),
    (0.90, "well"),
    (0.80, "fairly well, with visible overlap"),
    (0.70, "only in part"),
    (0.0, "poorly"),
)
FEW = 50  # images of one label below which a measured rate is a rough guess
NOTABLE = 0.05  # a difference in AUROC worth a sentence


class Verdict(NamedTuple):
    """One or two sentences, and the reservations that a reader must know."""

    sentences: list[str]
    cautions: list[str]


def verdict(run: RunFiles) -> Verdict:
    """The verdict on a run's test."""
    auroc, counts = run.number("test/auroc"), confusion(run.scores)
    decided = [_decisions(counts)] if counts else []
    if run.scores is None and auroc is None:
        return Verdict(["This run scored no test images: there is nothing to judge but its training."], [])
    if auroc is None:
        undefined = "How well the score separates is not defined: that takes normal and anomalous test images."
        return Verdict([undefined, *decided], [])
    cautions = _cautions_about_ranks(run, auroc) + (_cautions_about_decisions(run, counts) if counts else [])
    return Verdict([_ranking(run, auroc), *decided], cautions)


def auroc_interval(auroc: float, n_anomalous: int, n_normal: int) -> tuple[float, float]:
    """95 % interval of an AUROC (Hanley and McNeil, Radiology 143, 1982), cut at 0 and 1."""
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    spread = auroc * (1 - auroc) + (n_anomalous - 1) * (q1 - auroc**2) + (n_normal - 1) * (q2 - auroc**2)
    half = 1.96 * math.sqrt(max(spread, 0.0) / (n_anomalous * n_normal))
    return max(0.0, auroc - half), min(1.0, auroc + half)


def _ranking(run: RunFiles, auroc: float) -> str:
    interval, low, high = "", auroc, auroc
    if run.scores is not None and has_both_labels(run.scores):
        n_anomalous = int(run.scores.labels.sum())
        low, high = auroc_interval(auroc, n_anomalous, len(run.scores.labels) - n_anomalous)
        interval = f", 95 % interval {low:.3f} to {high:.3f}" if low < high else ""
    if low <= 0.5 <= high:
        words = "cannot be told from guessing"
    elif auroc < 0.5:
        words = "is worse than guessing: it ranks normal images above anomalies"
    else:
        grade = next(words for least, words in GRADES if auroc >= least)
        words = f"separates anomalies from normal images {grade}"
    return f"The score “{run.chosen}” {words} (AUROC {auroc:.3f}{interval}; 0.5 is guessing)."


def _decisions(counts: Confusion) -> str:
    found = _share(counts.found, counts.n_anomalous, "anomaly" if counts.n_anomalous == 1 else "anomalies")
    alarmed = _share(counts.false_alarms, counts.n_normal, "normal image" if counts.n_normal == 1 else "normal images")
    return f"At the threshold fixed on validation it finds {found} and raises a false alarm on {alarmed}."


def _share(part: int, whole: int, noun: str) -> str:
    percent = f" ({100 * part / whole:.0f} %)" if whole else ""
    return f"{part:,} of {whole:,} {noun}{percent}"


def _cautions_about_ranks(run: RunFiles, auroc: float) -> list[str]:
    cautions = []
    known, unseen = run.number("test/auroc_known"), run.number("test/auroc_unseen")
    if known is not None and unseen is not None and known - unseen > NOTABLE:
        cautions.append(
            "It is weaker on kinds of anomaly that training did not know: "
            f"AUROC {number(unseen)}, against {number(known)} on the known kinds."
        )
    best = max(score_terms(run), key=lambda term: term.auroc_test or 0.0, default=None)
    if best is not None and best.auroc_test is not None and best.auroc_test - auroc > NOTABLE:
        cautions.append(
            f"The term “{best.name}” ranks these images better (AUROC {number(best.auroc_test)}), "
            "but which term is the score was settled before the test."
        )
    return cautions


def _cautions_about_decisions(run: RunFiles, counts: Confusion) -> list[str]:
    cautions = []
    if min(counts.n_anomalous, counts.n_normal) < FEW:
        sizes = f"{counts.n_normal:,} normal and {counts.n_anomalous:,} anomalous"
        cautions.append(f"The test set is small ({sizes}): take every rate as a rough guess.")
    f1, f1_max = run.number("test/f1"), run.number("test/f1_max")
    prevalence = counts.n_anomalous / (counts.n_anomalous + counts.n_normal)
    blind = 2 * prevalence / (1 + prevalence)  # F1 of calling every image anomalous: precision = prevalence, recall = 1
    if f1 is not None and f1 <= blind:
        cautions.append(f"Its F1 ({number(f1)}) is no better than calling every image anomalous ({number(blind)}).")
    elif f1 is not None and f1_max is not None and f1_max - f1 > 2 * NOTABLE:
        cautions.append(f"The threshold fits the test badly: F1 is {number(f1)} and could be {number(f1_max)}.")
    return cautions
