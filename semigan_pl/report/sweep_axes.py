"""What a sweep is drawn over: gamma against contamination where they vary, other options where others do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from semigan_pl.report.sweep_settings import Group, Settings, in_order, is_number, named

GAMMA, CONTAMINATION = "model.gamma", "data.contamination"
# What people ask about first; then any other option with numbers.
ACROSS = (GAMMA, CONTAMINATION, "data.outlier_share", "data.known_anomalies")
LINES = (CONTAMINATION, "data.outlier_share", "data.known_anomalies", "data.known_classes", GAMMA, "model.name")


class Axes(NamedTuple):
    """One option across, one line for each value of another, a panel for all others; as places among the factors."""

    x: int
    line: int | None  # None: one option varies in each panel
    panels: dict[str, list[int]]  # the other options in words -> settings, as places among the groups


def axes_of(settings: Settings) -> Axes | None:
    """None where no option has several numbers while the rest stays the same."""
    keys = [factor.key for factor in settings.factors]
    places = sorted(range(len(keys)), key=lambda place: ACROSS.index(keys[place]) if keys[place] in ACROSS else 99)
    for x in places:
        if all(is_number(group.values[x]) for group in _steps(settings, x)):
            lines = [place for place in range(len(keys)) if place != x]
            lines.sort(key=lambda place: LINES.index(keys[place]) if keys[place] in LINES else 99)
            if panels := _panels(settings, x, lines[0] if lines else None):
                return Axes(x, lines[0] if lines else None, panels)
    return None


def _steps(settings: Settings, x: int) -> list[Group]:
    """The settings of those groups in which x varies, all else being equal; a word among them is no number."""
    rest = defaultdict[tuple[Any, ...], list[Group]](list)
    for group in settings.groups:
        rest[group.values[:x] + group.values[x + 1 :]].append(group)
    return [group for several in rest.values() if len(several) > 1 for group in several]


def _panels(settings: Settings, x: int, line: int | None) -> dict[str, list[int]]:
    """Only those with a line of two points or more."""
    together = defaultdict[tuple[Any, ...], list[int]](list)
    for place, group in enumerate(settings.groups):
        if is_number(group.values[x]):
            together[tuple(value for n, value in enumerate(group.values) if n not in (x, line))].append(place)
    panels = {}
    for places in together.values():
        rows = lines_of(settings, line, places)
        if max(len(row) for row in rows.values()) > 1:
            panels[panel_label(settings, (x, line), settings.groups[places[0]])] = places
    return panels


def panel_label(settings: Settings, but_for: Sequence[int | None], group: Group) -> str:
    """A setting in words but for some options."""
    pairs = [pair for n, pair in enumerate(zip(settings.factors, group.values, strict=True)) if n not in but_for]
    return ", ".join(word for factor, value in pairs if (word := named(factor, value))) or "all runs"


def lines_of(settings: Settings, line: int | None, places: Sequence[int]) -> dict[Any, list[int]]:
    """The settings of a panel by the value that their line stands for, in order."""
    lines = defaultdict[Any, list[int]](list)
    for place in places:
        lines[None if line is None else settings.groups[place].values[line]].append(place)
    return dict(sorted(lines.items(), key=lambda item: in_order(item[0])))
