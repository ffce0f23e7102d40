"""The numbers of a sweep: each setting over its seeds, and against another setting in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from semigan_pl.evaluation.delong import Ranked, paired_delong
from semigan_pl.evaluation.intervals import Difference, Estimate, holm, paired_t, t_interval
from semigan_pl.report.sweep_files import SweepRun
from semigan_pl.report.sweep_settings import Group, Settings, in_order, is_number

LEVEL = 0.95  # of all intervals
METRICS = {  # of the score that each run chose before its test
    "test/auroc": "AUROC",
    "test/f1": "F1",
    "test/average_precision": "average precision",
    "test/auroc_known": "AUROC, known kinds",
    "test/auroc_unseen": "AUROC, unseen kinds",
    "test/f1_max": "best F1 (its threshold chosen on the test images)",
    "val/auroc": "validation AUROC",
}
TERM = "test/auroc_"  # and the name of a score term
MOST_TERMS = 8
OWN = "own"  # the reference of each setting by the rules of `natural_references`
MOST_REFERENCES = 30  # settings up to which every one can be the reference


class Tested(NamedTuple):
    """One setting against another."""

    difference: Difference
    p_adjusted: float | None  # Holm, for all settings that are held against this reference


class Against(NamedTuple):
    """All settings against one reference; None for the reference itself and where nothing can be paired."""

    references: list[int | None]  # of each setting
    over_seeds: dict[str, list[Tested | None]]  # by metric
    over_images: list[Tested | None]  # of the AUROC


def metrics_of(runs: Sequence[SweepRun], settings: Settings) -> dict[str, str]:
    """Key in metrics.json -> heading, for all that a compared run has; score terms come last."""
    keys = dict.fromkeys(
        key
        for group in settings.groups
        for run in group.runs
        for key in runs[run].metrics
        if key in METRICS or _term(key)
    )
    there = [
        key for key in keys if any(runs[run].number(key) is not None for one in settings.groups for run in one.runs)
    ]
    terms = {key: f"AUROC, term {key.removeprefix(TERM)}" for key in there if key not in METRICS}
    return {key: label for key, label in METRICS.items() if key in there} | dict(list(terms.items())[:MOST_TERMS])


def _term(key: str) -> bool:
    return key.startswith(TERM) and "/" not in key.removeprefix(TERM)


def values_of(runs: Sequence[SweepRun], group: Group, metric: str) -> dict[str, float]:
    """By seed, where it is defined."""
    values = {seed: runs[run].number(metric) for seed, run in zip(group.seeds, group.runs, strict=True)}
    return {seed: value for seed, value in values.items() if value is not None}


def estimates(runs: Sequence[SweepRun], settings: Settings, metric: str) -> list[Estimate | None]:
    """Each setting over its seeds; the interval is cut at 0 and 1, where all of these metrics end."""
    found = list[Estimate | None]()
    for group in settings.groups:
        values = list(values_of(runs, group, metric).values())
        one = t_interval(values, LEVEL) if values else None
        if one is not None and one.low is not None and one.high is not None:
            one = one._replace(low=max(0.0, one.low), high=min(1.0, one.high))
        found.append(one)
    return found


def natural_references(settings: Settings) -> list[int | None]:
    """The setting that each one is held against, all else being equal.

    Where gamma varies it is the largest gamma, 1 in a whole sweep: there known anomalies have no weight of their own.
    Otherwise the smallest value of the first option with numbers that varies: which of several words (methods, say)
    comes first says nothing.
    """
    keys = [factor.key for factor in settings.factors]
    varied = [keys.index("model.gamma")] if "model.gamma" in keys else []
    references = list[int | None]()
    for place, group in enumerate(settings.groups):
        chosen = None
        for factor in [*varied, *(one for one in range(len(keys)) if one not in varied)]:
            rivals = [n for n, other in enumerate(settings.groups) if _same_but_for(group, other, factor)]
            if len(rivals) > 1 and all(is_number(settings.groups[n].values[factor]) for n in rivals):
                ranked = sorted(rivals, key=lambda n: in_order(settings.groups[n].values[factor]))
                chosen = ranked[-1] if factor in varied else ranked[0]
                break
        references.append(None if chosen == place else chosen)
    return references


def _same_but_for(one: Group, other: Group, factor: int) -> bool:
    return all(a == b for n, (a, b) in enumerate(zip(one.values, other.values, strict=True)) if n != factor)


def tested(
    runs: Sequence[SweepRun],
    settings: Settings,
    metrics: Sequence[str],
    rankings: Mapping[int, Ranked],
    references: list[int | None],
) -> Against:
    """Every setting against its reference: paired t over seeds for all metrics, DeLong over images for the AUROC.

    Args:
        rankings: of the runs whose scores could be read.
        references: of each setting.
    """
    over_seeds = {}
    for metric in metrics:
        values = [values_of(runs, group, metric) for group in settings.groups]
        differences = list[Difference | None]()
        for own, place in zip(values, references, strict=True):
            other = {} if place is None else values[place]
            common = [seed for seed in own if seed in other]
            pairs = [own[seed] for seed in common], [other[seed] for seed in common]
            differences.append(paired_t(*pairs, LEVEL) if common else None)
        over_seeds[metric] = _adjusted(differences, references)
    over_images = [
        None if place is None else _on_images(group, settings.groups[place], rankings)
        for group, place in zip(settings.groups, references, strict=True)
    ]
    return Against(references, over_seeds, _adjusted(over_images, references))


def _on_images(group: Group, other: Group, rankings: Mapping[int, Ranked]) -> Difference | None:
    """Over the test images of all seeds that both have; None where the two of a seed scored different images."""
    own = dict(zip(group.seeds, group.runs, strict=True))
    others = dict(zip(other.seeds, other.runs, strict=True))
    pairs = [(own[seed], others[seed]) for seed in own if seed in others]
    pairs = [(one, two) for one, two in pairs if one in rankings and two in rankings]
    return paired_delong([rankings[one] for one, _ in pairs], [rankings[two] for _, two in pairs], LEVEL)


def _adjusted(differences: Sequence[Difference | None], references: Sequence[int | None]) -> list[Tested | None]:
    """With p values adjusted for all settings that have the same reference."""
    tests = list[Tested | None]([None] * len(differences))
    for reference in set(references) - {None}:
        family = [(place, one) for place, one in enumerate(differences) if one and references[place] == reference]
        for (place, one), p in zip(family, holm([one.p for _, one in family]), strict=True):
            tests[place] = Tested(one, p)
    return tests


def all_tests(
    runs: Sequence[SweepRun], settings: Settings, metrics: Sequence[str], rankings: Mapping[int, Ranked]
) -> dict[str, Against]:
    """By reference: OWN, and the place of every setting where there are not too many of them."""
    n = len(settings.groups)
    found = {OWN: tested(runs, settings, metrics, rankings, natural_references(settings))}
    for place in range(n) if n <= MOST_REFERENCES else ():
        references = [None if one == place else place for one in range(n)]
        found[str(place)] = tested(runs, settings, metrics, rankings, references)
    return found
