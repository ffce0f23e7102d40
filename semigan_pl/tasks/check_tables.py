"""The findings of task=check on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.image_source import printable
from semigan_pl.data.survey import MaskSurvey
from semigan_pl.tasks.findings import SEEN, STATISTICS, Comparison, Difference, Findings
from semigan_pl.tasks.remedies import shrinkage

MOST_CLASSES = 30  # rows of the table; check.json has them all
MOST_NAMED = 5  # files of a kind
SPLITS = {"train": "train", "train_known": "known", "val": "val", "val_known": "val known", "test": "test"}


def class_roles(data: AnomalyDataModule) -> dict[str, list[str]]:
    """What the images of each used class are, by class name; the normal classes first."""
    splits, classes = data.splits, data.source.classes
    used = set(np.unique(classes[data.used]).tolist())
    roles = {data.class_names[label]: ["normal"] for label in data.roles.normal if label in used}
    for label in data.roles.anomalous:
        holders = {
            "hidden": np.concatenate([splits.train, splits.val]),
            "known": np.concatenate([splits.train_known, splits.val_known]),
            "tested": splits.test,
        }
        if label in used:
            held = [role for role, positions in holders.items() if label in classes[positions]]
            roles[data.class_names[label]] = held
    return roles


def class_table(data: AnomalyDataModule) -> Table:
    """Images by class and split."""
    counts = data.summary()["counts"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("class", footer="all", overflow="fold")
    table.add_column("role")
    for split, heading in SPLITS.items():
        table.add_column(heading, justify="right", footer=f"{sum(counts[split].values()):,}")
    roles = class_roles(data)
    for name, held in list(roles.items())[:MOST_CLASSES]:
        numbers = [counts[split].get(name, 0) for split in SPLITS]
        table.add_row(Text(printable(name)), ", ".join(held), *(f"{number:,}" if number else "" for number in numbers))
    if len(roles) > MOST_CLASSES:
        table.add_row(f"... {len(roles) - MOST_CLASSES} more")
    return table


def facts(data: AnomalyDataModule, findings: Findings) -> Iterator[str]:
    """What the tables do not say, a line each."""
    summary, found = data.summary(), findings.survey
    n_train = len(data.splits.train)
    yield (
        f"Hidden in training: {summary['hidden_anomalies']:,} of {n_train:,} unlabelled images"
        f" ({summary['contamination']:.1%}) are anomalies."
    )
    if findings.masks:
        yield _mask_line(findings.masks)
    yield _size_line(findings)
    kinds = Counter(look.kind for look in found.looks).most_common()
    yield "Stored as: " + ", ".join(f"{kind} ({count:,})" for kind, count in kinds) + "."
    yield _format_line(data, findings)
    yield from data.source.notes
    for title, named in (
        ("Cannot be read" + (", left out" if data.skip_broken else ""), list(found.broken.values())),
        ("Masks that cannot be used", list(findings.masks.broken.values()) if findings.masks else []),
        ("Identical images", [_copy_line(data, *group[:2]) for group in findings.copies]),
    ):
        if named:
            more = [f"... {len(named) - MOST_NAMED:,} more in check.json"] if len(named) > MOST_NAMED else []
            yield "\n  ".join([f"{title} ({len(named):,}):", *named[:MOST_NAMED], *more])


def shortcut_table(comparisons: list[Comparison]) -> Table:
    """AUROC of every trivial number, in whichever direction it separates; `!` marks those that a warning is about."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("\n\nAUROC of one number", no_wrap=True)
    shown = [comparison for comparison in comparisons if comparison.stored]
    for comparison in shown:
        first, second = comparison.groups
        _, n_first, n_second = comparison.stored["mean"].separation
        table.add_column(f"{comparison.where}\n{first} {n_first:,}\n{second} {n_second:,}", justify="right")
    for column, words in STATISTICS.items():
        stored = [comparison.stored.get(column) for comparison in shown]
        seen = [comparison.seen.get(column) for comparison in shown]
        if column in SEEN:
            table.add_row(f"{words} stored", *(_strength(difference, False) for difference in stored))
            table.add_row(f"{words} seen", *(_strength(difference, True) for difference in seen))
        elif any(difference and difference.separation.auroc != 0.5 for difference in stored):  # else all are the same
            table.add_row(words, *(_strength(difference, True) for difference in stored))
    return table


def _strength(difference: Difference | None, matters: bool) -> Text:
    if difference is None:
        return Text("")
    is_marked = matters and difference.separation.is_shortcut
    return Text(f"{difference.separation.strength:.3f} {'!' if is_marked else ' '}", style="bold" if is_marked else "")


def _mask_line(masks: MaskSurvey) -> str:
    total = len(masks.areas) + len(masks.empty) + len(masks.missing) + len(masks.broken)
    exceptions = {
        "without a mask": masks.missing,
        "empty": masks.empty,
        "unusable": masks.broken,
        "cut off": masks.lost,
    }
    rest = ", ".join(f"{len(positions):,} {words}" for words, positions in exceptions.items() if positions)
    areas = f"; the median defect covers {np.median(list(masks.areas.values())):,.3g} px as seen" if masks.areas else ""
    n_good = len(masks.areas) - len(masks.lost)
    return f"Masks: {n_good:,} of {total:,} anomalous test images{f' ({rest})' if rest else ''}{areas}."


def _size_line(findings: Findings) -> str:
    sizes = Counter((look.width, look.height) for look in findings.survey.looks)
    if len(sizes) == 1:
        width, height = next(iter(sizes))
        return f"Size: all {width} x {height} px."
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    (often, count), (least, most) = sizes.most_common(1)[0], (by_area[0], by_area[-1])
    return (
        f"Sizes: {least[0]} x {least[1]} to {most[0]} x {most[1]} px, most often {often[0]} x {often[1]}"
        f" ({count:,} images)."
    )


def _format_line(data: AnomalyDataModule, findings: Findings) -> str:
    """What data.image_size, channels, resize and mean_grey make of the images."""
    image_format, looks = data.image_format, findings.survey.looks
    shrunk = float(np.median(shrinkage(findings.survey, image_format)))
    aspects = np.maximum(findings.survey.column("aspect"), 1 / findings.survey.column("aspect"))
    ways = {
        "stretch": f"stretched (proportions changed up to {aspects.max():.2f} times)",
        "crop": f"cropped (losing up to {1 - 1 / aspects.max():.0%} of the area)",
        "pad": f"padded (up to {1 - 1 / aspects.max():.0%} of it black)",
    }
    by = f"shrunk {shrunk:.1f}" if shrunk >= 1 else f"enlarged {1 / shrunk:.1f}"
    n_coloured = sum(look.has_colour for look in looks)
    colours = "in grey" if image_format.channels == 1 else "in colour"
    if image_format.channels == 1 and n_coloured:
        colours += f" ({n_coloured:,} lose their colours)"
    if image_format.channels == 3 and not n_coloured:
        colours += " (but none has any: data.channels=1 shows as much)"
    way = ways[image_format.resize] if aspects.max() > 1 else "whole"
    mean = "" if image_format.mean_grey is None else f", scaled to a mean grey value of {image_format.mean_grey:g}"
    size = image_format.image_size
    return f"The network sees: {size} x {size} px {colours}, {way}, {by} times (median){mean}."


def _copy_line(data: AnomalyDataModule, positions: list[int], splits: list[str]) -> str:
    named = [
        f"{data.source.paths[position]} ({SPLITS[split]})" for position, split in zip(positions, splits, strict=True)
    ]
    return " = ".join(named[:3]) + (f" = {len(named) - 3} more" if len(named) > 3 else "")
