"""A sweep as text: csv for programs, markdown and LaTeX for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from semigan_pl.evaluation.intervals import Estimate
from semigan_pl.report import page
from semigan_pl.report.comparison_latex import escaped
from semigan_pl.report.sweep_files import SweepRun
from semigan_pl.report.sweep_settings import Settings, shown
from semigan_pl.report.sweep_statistics import OWN, Against, Tested

SHOWN = ("test/auroc", "test/f1")  # in markdown and LaTeX; the csv files have all


class Sweep(NamedTuple):
    """All that is said of it."""

    runs: Sequence[SweepRun]
    settings: Settings
    metrics: dict[str, str]  # key -> heading
    found: Mapping[str, Sequence[Estimate | None]]  # by metric, of each setting
    tests: Mapping[str, Against]  # by reference
    notes: Mapping[int, str]  # by run: why its scores are not used


def command(run: SweepRun) -> str:
    """What to type to repeat a run; empty where it is not known."""
    return page.command(run.overrides) if run.overrides else ""


def lead(sweep: Sweep) -> list[str]:
    """What there is, and how the numbers are made."""
    runs, settings = sweep.runs, sweep.settings
    counted = sum(len(group.runs) for group in settings.groups)
    sizes = sorted({len(group.runs) for group in settings.groups})
    several = f"{_some(counted, 'run')} in {_some(len(settings.groups), 'setting')}"
    seeds = f"{sizes[0]} to {_some(sizes[-1], 'seed')} each" if len(sizes) > 1 else f"{_some(sizes[0], 'seed')} each"
    sentences = [f"{several}, {seeds if sizes[-1] > 1 else 'one seed each: no deviations, no tests over seeds'}."]
    if troubled := sum(bool(run.trouble) for run in runs):
        sentences.append(f"{_some(troubled, 'further run')} could not be compared: the table of runs says why.")
    if settings.repeated:
        sentences.append(
            f"{_some(len(settings.repeated), 'run')} had a later one of the same setting and seed, which counts."
        )
    return sentences


HOW = (
    "Means and sample deviations are over seeds; intervals are 95 % Student t intervals of the mean, cut at 0 and 1.",
    "p over seeds: paired t test, each seed against the same seed (it settles split and weights alike): would another"
    " training show the difference? p over images: DeLong's test on the test images that both runs of a seed scored:"
    " would other images show it, for these trainings? Both are two-sided and adjusted by Holm for all settings that"
    " are held against the same reference.",
)


def _some(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def runs_csv(sweep: Sweep) -> str:
    """A line for each run, those with trouble too."""
    settings = sweep.settings
    values = {run: group.values for group in settings.groups for run in group.runs}
    head = ["run", "state", "group", *(factor.key for factor in settings.factors), "seed", "score", *sweep.metrics]
    places = {run: place for place, group in enumerate(settings.groups) for run in group.runs}
    rows = []
    for place, run in enumerate(sweep.runs):
        own = values.get(place) or [run.settings.get(factor.key, "") for factor in settings.factors]
        numbers = ["" if (value := run.number(key)) is None else repr(value) for key in sweep.metrics]
        options = [shown(value, factor.key) for factor, value in zip(settings.factors, own, strict=True)]
        state = state_of(sweep, place)
        rows.append(
            [
                run.folder,
                state,
                places.get(place, ""),
                *options,
                run.seed,
                run.metrics.get("score", ""),
                *numbers,
                command(run),
            ]
        )
    return _csv([*head, "command"], rows)


def state_of(sweep: Sweep, place: int) -> str:
    """What a run counts as."""
    if sweep.runs[place].trouble:
        return sweep.runs[place].trouble
    later = sweep.settings.repeated.get(place)
    if later is not None:
        return f"repeated: {sweep.runs[later].folder.name} counts"
    return f"finished, without scores: {sweep.notes[place]}" if place in sweep.notes else "finished"


def groups_csv(sweep: Sweep) -> str:
    """A line for each setting and metric: mean, deviation, interval, and what the tests against its reference say."""
    factors = sweep.settings.factors
    tests = sweep.tests[OWN]
    rows = []
    for place, group in enumerate(sweep.settings.groups):
        options = [shown(value, factor.key) for factor, value in zip(factors, group.values, strict=True)]
        reference = tests.references[place]
        for key in sweep.metrics:
            if (one := sweep.found[key][place]) is not None:
                over_images = tests.over_images[place] if key == "test/auroc" else None
                tested = [*_cells(tests.over_seeds[key][place]), *_cells(over_images)]
                rows.append([place, *options, key, *one, "" if reference is None else reference, *tested])
    kinds = ("difference", "low", "high", "p", "n", "p_holm")
    head = [
        "group",
        *(factor.key for factor in factors),
        "metric",
        "mean",
        "deviation",
        "low",
        "high",
        "n",
        "reference",
    ]
    return _csv([*head, *(f"seeds_{kind}" for kind in kinds), *(f"images_{kind}" for kind in kinds)], rows)


def _cells(test: Tested | None) -> list[Any]:
    return [""] * 6 if test is None else [*test.difference, test.p_adjusted]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return file.getvalue()


def estimate(one: Estimate | None) -> str:
    """Mean and deviation."""
    if one is None:
        return "–"
    return f"{one.mean:.3f}" if one.deviation is None else f"{one.mean:.3f} ± {one.deviation:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """Both ends; a dash where one seed has none."""
    return "–" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def p_value(p: float | None) -> str:
    """As papers have it."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def table(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the settings: AUROC and F1, and the AUROC against the reference."""
    factors, metrics = sweep.settings.factors, [key for key in SHOWN if key in sweep.metrics]
    measured = [head for key in metrics for head in (sweep.metrics[key], "95 %")]
    tests = sweep.tests[OWN]
    compared = [key for key in metrics[:1] if any(tests.over_seeds[key])]
    tail = ["against", "difference", "95 %", "p, seeds", "p, images"] if compared else []
    rows = []
    for place, group in enumerate(sweep.settings.groups):
        row = [shown(value, factor.key) for factor, value in zip(factors, group.values, strict=True)]
        for key in metrics:
            one = sweep.found[key][place]
            row += [estimate(one), "–" if one is None else interval(one.low, one.high)]
        row.append(str(len(group.runs)))
        reference = tests.references[place]
        for key in compared:
            row.append("–" if reference is None else sweep.settings.against(group, sweep.settings.groups[reference]))
            over_seeds, over_images = tests.over_seeds[key][place], tests.over_images[place]
            difference = None if over_seeds is None else over_seeds.difference
            row += (
                ["–", "–"]
                if difference is None
                else [f"{difference.mean:+.3f}", interval(difference.low, difference.high)]
            )
            row += [p_value(None if test is None else test.p_adjusted) for test in (over_seeds, over_images)]
        rows.append(row)
    return [*(factor.label for factor in factors), *measured, "seeds", *tail], rows


def markdown(title: str, sweep: Sweep) -> str:
    """The settings as one table, what is missing below it."""
    head, rows = table(sweep)
    n_words = len(sweep.settings.factors)
    parts = [f"# {title}", "", *(f"- {sentence}" for sentence in (*lead(sweep), *HOW)), ""]
    parts += [_line(head), "|" + "---|" * n_words + "---:|" * (len(head) - n_words), *map(_line, rows)]
    troubled = [run for run in sweep.runs if run.trouble]
    if troubled:
        parts += ["", "## Not compared", "", "| run | reason |", "|---|---|"]
        parts += [_line([str(run.folder), run.trouble]) for run in troubled]
    return "\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def latex(title: str, sweep: Sweep) -> str:
    r"""The same for \input in a paper; it needs \usepackage{booktabs}."""
    head, rows = table(sweep)
    n_words = len(sweep.settings.factors)
    comments = [f"% {' '.join(words.split())}" for words in (title, *lead(sweep), *HOW, r"Needs \usepackage{booktabs}")]
    body = [" & ".join(_cell(cell) for cell in row) + r" \\" for row in rows]
    columns = rf"\begin{{tabular}}{{{'l' * n_words}{'r' * (len(head) - n_words)}}}"
    lines = [*comments, columns, r"\toprule", " & ".join(map(escaped, head)) + r" \\", r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cell(words: str) -> str:
    """Signs, intervals and ± in math mode."""
    if words.startswith(("[0", "[1", "+", "-", "<")) or "±" in words:
        return f"${words.replace('±', chr(92) + 'pm').replace('< ', '<')}$"
    return escaped(words)
