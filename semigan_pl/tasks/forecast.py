"""How long the runs of a table will take: before the first one, and corrected as they end."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from semigan_pl.progress import duration


class Kind(NamedTuple):
    """Runs that take about as long as each other."""

    setting: str
    method: str
    budget: str | None  # what is typed as +budget=


class Forecast:
    """Sums up what each run will take: as earlier ones of its method and setting, else of its method, else as its hint.

    Args:
        left: the runs to do, by folder.
        earlier: the seconds of finished runs.
        hints: method -> budget -> the seconds of one run, about.
        at_once: how many runs go side by side.
    """

    def __init__(
        self,
        left: Mapping[Path, Kind],
        earlier: Sequence[tuple[Kind, float]],
        hints: Mapping[str, Mapping[str, float]],
        at_once: int,
    ) -> None:
        self._left, self._at_once = dict(left), max(at_once, 1)
        first = {place: _expected(kind, earlier, hints) for place, kind in left.items()}
        self._first = {place: seconds for place, seconds in first.items() if seconds is not None}
        self._ended: list[tuple[Kind, float, float | None]] = []  # what was expected comes last

    def sentence(self) -> str:
        """What can be said before the first run."""
        unknown = [kind for place, kind in self._left.items() if place not in self._first]
        methods = ", ".join(dict.fromkeys(kind.method for kind in unknown))
        if not self._first:
            return (
                f"How long the {len(unknown)} runs will take is not known before one of each method ended ({methods})."
            )
        total = duration(self._side_by_side(self._first.values()))
        more = f"; of {len(unknown)} more nothing is known yet ({methods})" if unknown else ""
        side = f", {self._at_once} side by side" if self._at_once > 1 else ""
        return f"The {len(self._first)} runs to do will take about {total}{side}{more}."

    def take(self, place: Path, seconds: float | None) -> None:
        """A run has ended after so many seconds in all; None: it failed, which teaches nothing."""
        kind = self._left.pop(place)
        if seconds is not None:
            self._ended.append((kind, seconds, self._first.get(place)))

    def seconds_left(self) -> float | None:
        """Until all are done; None where nothing is known, or nothing is left."""
        known = {place: seconds for place in self._left if (seconds := self._now(place)) is not None}
        if not known:
            return None
        usual = statistics.fmean(known.values())  # for those of which nothing is known
        return self._side_by_side([known.get(place, usual) for place in self._left])

    def _now(self, place: Path) -> float | None:
        """What one run will take, by what the ended ones took."""
        kind = self._left[place]
        same = [one for one in self._ended if one[0].method == kind.method]
        if place not in self._first:
            return statistics.fmean(seconds for _, seconds, _ in same or self._ended) if self._ended else None
        both = [(seconds, expected) for _, seconds, expected in same or self._ended if expected is not None]
        took, should = (sum(column) for column in zip(*both, strict=True)) if both else (1.0, 1.0)
        return self._first[place] * took / should

    def _side_by_side(self, seconds: Collection[float]) -> float:
        return max(sum(seconds) / self._at_once, max(seconds))


def _expected(
    kind: Kind, earlier: Sequence[tuple[Kind, float]], hints: Mapping[str, Mapping[str, float]]
) -> float | None:
    """Seconds of one run before any of this start has ended."""
    same_method = [(one, seconds) for one, seconds in earlier if one.method == kind.method]
    same = [seconds for one, seconds in same_method if one.setting == kind.setting]
    known = same or [seconds for _, seconds in same_method]
    return statistics.fmean(known) if known else hints.get(kind.method, {}).get(kind.budget or "")
