"""task=check: what would be used for what and what is wrong with it, before anybody trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from semigan_pl.atomic import write_bytes, write_json
from semigan_pl.data.cache import UNREADABLE
from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.image_source import printable
from semigan_pl.report.contact_sheet import COLUMNS, Strip, contact_sheet
from semigan_pl.tasks.check_tables import class_roles, class_table, facts, shortcut_table
from semigan_pl.tasks.findings import STATISTICS, Comparison, Difference, Findings, find
from semigan_pl.tasks.remedies import warnings

MOST_STRIPS = 12  # of one kind of images; with more classes than that they share one strip


def check(config: DictConfig) -> None:
    """Prints what a run with these options would use, and what is wrong with it; trains nothing.

    Leaves check.json (all facts) and check.png (what the network sees) in the run's folder.

    Raises ValueError or FileNotFoundError where the data cannot be used at all.
    """
    folder = Path(config.run)
    data: AnomalyDataModule = instantiate(config.data.module, _convert_="all")
    findings = find(data)
    problems = warnings(data, findings)
    write_json(folder / "check.json", legible(record(data, findings, problems)))
    write_bytes(folder / "check.png", contact_sheet(_heading(data), strips(data, findings)))

    console = Console()
    console.print(Text(f"\n{data.source.name}: {len(data.used):,} images used of {len(data.source):,}", style="bold"))
    console.print(class_table(data))
    for fact in facts(data, findings):
        console.print(Text(printable(fact)), soft_wrap=True)
    console.print(shortcut_table(findings.comparisons))
    for number, problem in enumerate(problems, 1):
        console.print(Text(printable(f"Warning {number}: {problem}."), style="bold yellow"))
    if not problems:
        console.print(Text("No problem found.", style="bold green"))
    console.print()
    console.print(Text(printable(f"Contact sheet: {folder / 'check.png'}"), style="bold"), soft_wrap=True)


def legible(value: Any) -> Any:
    """What JSON knows, with every name such that any reader of UTF-8 takes it."""
    if isinstance(value, dict):
        return {legible(key): legible(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [legible(content) for content in value]
    return printable(value) if isinstance(value, str) else value


def record(data: AnomalyDataModule, findings: Findings, problems: list[str]) -> dict[str, Any]:
    """All facts, ready for JSON."""
    found, masks, paths = findings.survey, findings.masks, data.source.paths
    sizes, counts = np.unique([(look.width, look.height) for look in found.looks], axis=0, return_counts=True)
    kinds, of_kind = np.unique([look.kind for look in found.looks], return_counts=True)
    return data.summary() | {
        "warnings": problems,
        "roles": class_roles(data),
        "sizes": {f"{width} x {height}": n for (width, height), n in zip(sizes.tolist(), counts.tolist(), strict=True)},
        "stored_as": dict(zip(kinds.tolist(), of_kind.tolist(), strict=True)),
        "broken": list(found.broken.values()),
        "masks": masks
        and {
            "areas": {paths[position]: area for position, area in masks.areas.items()},
            "broken": list(masks.broken.values()),
        }
        | {name: [paths[position] for position in getattr(masks, name)] for name in ("empty", "lost", "missing")},
        "copies": [
            group._asdict() | {"paths": [paths[position] for position in group.positions]} for group in findings.copies
        ],
        "comparisons": [_comparison_record(comparison) for comparison in findings.comparisons],
    }


def _comparison_record(comparison: Comparison) -> dict[str, Any]:
    def records(differences: dict[str, Difference]) -> dict[str, Any]:
        return {
            STATISTICS[name]: separation._asdict() | {"medians": medians, "is_shortcut": separation.is_shortcut}
            for name, (separation, medians) in differences.items()
        }

    return {
        "where": comparison.where,
        "groups": comparison.groups,
        "as_stored": records(comparison.stored),
        "as_seen": records(comparison.seen),
    }


def strips(data: AnomalyDataModule, findings: Findings) -> list[Strip]:
    """A few readable images of every class and side."""
    readable = np.array([look.position for look in findings.survey.looks])
    pool = np.concatenate([data.splits.train, data.splits.val])
    known = np.concatenate([data.splits.train_known, data.splits.val_known])
    sides = (  # title, positions, is anomalous, most strips
        ("Training and validation, normal", pool, False, 4),
        ("Training and validation, anomalies hidden among the normal images", pool, True, 1),
        ("Training and validation, known anomalies", known, True, 1),
        ("Test, normal", data.splits.test, False, 4),
        ("Test, anomalous", data.splits.test, True, MOST_STRIPS),
    )
    found = []
    for title, positions, is_anomalous, most in sides:
        labels = data.roles.anomalous if is_anomalous else data.roles.normal
        members = np.intersect1d(positions[np.isin(data.source.classes[positions], labels)], readable)
        found += _strips(data, title, members, is_anomalous, most)
    return found


def _strips(
    data: AnomalyDataModule, title: str, members: NDArray[np.int64], is_anomalous: bool, most: int
) -> list[Strip]:
    """A strip for each class, or one for all where there are more classes than `most`."""
    labels = np.unique(data.source.classes[members])
    of_class = [members[data.source.classes[members] == label] for label in labels]
    names = [data.class_names[label] for label in labels]
    if len(labels) <= most:
        return [
            _strip(data, f"{title}: {name} ({len(positions):,})", positions[_spread(len(positions))], is_anomalous, [])
            for name, positions in zip(names, of_class, strict=True)
        ]
    firsts = np.concatenate([positions[:COLUMNS] for positions in of_class])
    turns = np.concatenate([np.arange(len(positions[:COLUMNS])) for positions in of_class])
    shown = firsts[np.argsort(turns, kind="stable")][:COLUMNS]  # the first of every class before the second of any
    captions = [data.class_name_of(position) for position in shown]
    return [_strip(data, f"{title} ({len(members):,})", shown, is_anomalous, captions)]


def _spread(total: int) -> NDArray[np.int64]:
    """At most COLUMNS of so many numbers, evenly spread: neighbouring files are often alike."""
    return np.unique(np.linspace(0, total - 1, COLUMNS).round().astype(np.int64))


def _strip(
    data: AnomalyDataModule, title: str, positions: NDArray[np.int64], is_anomalous: bool, captions: list[str]
) -> Strip:
    images = [data.image_format(data.source.read(position)) for position in positions.tolist()]
    outlines = [_outline(data, position) if is_anomalous else None for position in positions.tolist()]
    return Strip(printable(title), is_anomalous, images, outlines, list(map(printable, captions)))


def _outline(data: AnomalyDataModule, position: int) -> NDArray[np.bool_] | None:
    """Defective pixels as the network's image has them; None where they are not known."""
    try:
        mask = data.source.mask(position)
        return None if mask is None else data.image_format.mask(mask)
    except UNREADABLE:  # it has a warning
        return None


def _heading(data: AnomalyDataModule) -> str:
    size = data.image_format.image_size
    outlines = "; outlined: the marked defects" if data.has_pixel_truth else ""
    return f"{data.source.name} as the network sees it, {size} x {size} px{outlines}"
