"""The files of a comparison of runs: compare.html, runs.csv, groups.csv, table.md and table.tex."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from plotly.offline import get_plotlyjs

from semigan_pl.atomic import write_bytes
from semigan_pl.report import sweep_words as words
from semigan_pl.report.html import write_page
from semigan_pl.report.pictures import colour_bar
from semigan_pl.report.style import DARK, LIGHT
from semigan_pl.report.sweep_axes import GAMMA, axes_of
from semigan_pl.report.sweep_curves import Scored, read_all_scores
from semigan_pl.report.sweep_examples import blocks
from semigan_pl.report.sweep_figures import all_figures
from semigan_pl.report.sweep_files import read_sweep
from semigan_pl.report.sweep_settings import Settings, settings_of, shown
from semigan_pl.report.sweep_statistics import MOST_REFERENCES, Against, Tested, all_tests, estimates, metrics_of

HERE = Path(__file__).parent
MOST_VALUES = 8  # of an option that differs
DIGITS = 4  # of a number in the page


def write_sweep(folder: Path, title: str, run_folders: Sequence[Path]) -> Path:
    """Reads the runs, writes the files into `folder` and returns the page's path.

    Raises ValueError where none of the runs can be compared.
    """
    runs = read_sweep(run_folders)
    settings = settings_of(runs)
    if not settings.groups:
        raise ValueError(f"none of the {len(runs)} runs can be compared, e.g. {runs[0].folder}: {runs[0].trouble}")
    metrics = metrics_of(runs, settings)
    scored = read_all_scores(runs, settings)
    found = {key: estimates(runs, settings, key) for key in metrics}
    tests = all_tests(runs, settings, list(metrics), scored.rankings)
    sweep = words.Sweep(runs, settings, metrics, found, tests, scored.notes)
    texts = {
        "runs.csv": words.runs_csv(sweep),
        "groups.csv": words.groups_csv(sweep),
        "table.md": words.markdown(title, sweep),
        "table.tex": words.latex(title, sweep),
    }
    for name, text in texts.items():
        write_bytes(folder / name, text.encode(errors="backslashreplace"))
    return write_page(folder / "compare.html", "sweep.html.jinja", _content(folder, title, sweep, scored))


def _content(folder: Path, title: str, sweep: words.Sweep, scored: Scored) -> dict[str, Any]:
    """Everything that the template shows."""
    root = os.path.commonpath([os.path.abspath(run.folder.parent) for run in sweep.runs])
    axes = axes_of(sweep.settings)
    figures = all_figures(sweep.runs, sweep.settings, axes, sweep.metrics, sweep.found)
    scripts = [get_plotlyjs().replace("</script", "<\\/script"), (HERE / "sweep.js").read_text(encoding="utf-8")]
    factors = sweep.settings.factors
    keys, across = {factor.key for factor in factors}, factors[axes.x].label if axes else ""
    return {
        "title": title,
        "lead": words.lead(sweep),
        "how": words.HOW,
        "factors": factors,
        "metrics": sweep.metrics,
        "rows": [_row(folder, root, sweep, place) for place in range(len(sweep.runs))],
        "figures": figures,
        "across": across,
        "by": factors[axes.line].label if axes and axes.line is not None else "",
        "is_gamma": axes is not None and factors[axes.x].key == GAMMA,
        "panels": list(figures.get("lines", {})),
        "n_groups": len(sweep.settings.groups),
        "has_tests": any(_has_tests(tests) for tests in sweep.tests.values()),
        "own_reference": f"{'the largest gamma, or ' if GAMMA in keys else ''}the smallest number, all else equal",
        "chooses_reference": len(sweep.settings.groups) <= MOST_REFERENCES,
        "has_curves": bool(scored.curves),
        "blocks": blocks(sweep.runs, sweep.settings),
        "colour_bar": colour_bar(),
        "differing": _differing(sweep),
        "scripts": scripts,
        "hashes": [_hash(script) for script in scripts],
        "data": _embedded(_data(sweep, scored, figures)),
    }


def _hash(script: str) -> str:
    """By which the page's security policy knows a script as its own."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _embedded(data: dict[str, Any]) -> str:
    """JSON that ends no script, whatever names are in it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _has_tests(tests: Against) -> bool:
    return any(any(one) for one in tests.over_seeds.values()) or any(tests.over_images)


def _row(folder: Path, root: str, sweep: words.Sweep, place: int) -> dict[str, Any]:
    """One run in the table of runs."""
    run, factors = sweep.runs[place], sweep.settings.factors
    report = run.folder / "report.html"
    return {
        "name": os.path.relpath(run.folder, root),
        "link": quote(os.path.relpath(report, folder)) if report.is_file() else "",
        "state": words.state_of(sweep, place),
        "options": [shown(run.settings.get(factor.key, "–"), factor.key) for factor in factors],
        "seed": run.seed,
        "score": str(run.metrics.get("score", "")),
        "numbers": [run.number(key) for key in sweep.metrics],
        "command": words.command(run),
    }


def _differing(sweep: words.Sweep) -> list[dict[str, Any]]:
    """Options with their values, the most frequent first where there are too many."""
    rows = []
    for key, counts in sweep.settings.differing.items():
        kept = list(counts.items())
        if len(kept) > MOST_VALUES:
            kept = sorted(kept, key=lambda item: -item[1])[:MOST_VALUES]
        is_factor = key in {factor.key for factor in sweep.settings.factors}
        rows.append({"key": key, "values": kept, "more": len(counts) - len(kept), "is_factor": is_factor})
    return rows


def _data(sweep: words.Sweep, scored: Scored, figures: dict[str, Any]) -> dict[str, Any]:
    """What the page's script works with."""
    settings = sweep.settings
    return {
        "figures": figures,
        "metrics": sweep.metrics,
        "groups": [
            {
                "label": settings.label(group),
                "values": [
                    shown(value, factor.key) for factor, value in zip(settings.factors, group.values, strict=True)
                ],
                "runs": group.runs,
            }
            for group in settings.groups
        ],
        "found": {key: [None if one is None else _short(one) for one in found] for key, found in sweep.found.items()},
        "tests": {reference: _tests(settings, tests) for reference, tests in sweep.tests.items()},
        "curves": {place: curves._asdict() for place, curves in scored.curves.items()},
        "colours": {"light": _colours(asdict(LIGHT)), "dark": _colours(asdict(DARK))},
    }


def _colours(theme: dict[str, Any]) -> list[str]:
    return (
        [theme[name] for name in ("normal", "anomalous")]
        + [*theme["others"]]
        + [theme[name] for name in ("paper", "ink", "muted", "rule")]
    )


def _tests(settings: Settings, tests: Against) -> dict[str, Any]:
    over_seeds = {key: [_test(one) for one in found] for key, found in tests.over_seeds.items()}
    against = [
        "–" if place is None else settings.against(group, settings.groups[place])
        for group, place in zip(settings.groups, tests.references, strict=True)
    ]
    images = [_test(one) for one in tests.over_images]
    return {"references": tests.references, "against": against, "seeds": over_seeds, "images": images}


def _test(test: Tested | None) -> list[float | None] | None:
    return None if test is None else _short((*test.difference, test.p_adjusted))


def _short(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in values]
