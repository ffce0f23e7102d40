"""The same test images under different settings, side by side: what each made of them, all maps on one scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from semigan_pl.report.html import address
from semigan_pl.report.pictures import png, tiles
from semigan_pl.report.run_files import Examples, RunFiles, read_run
from semigan_pl.report.sweep_axes import GAMMA, panel_label
from semigan_pl.report.sweep_files import SweepRun
from semigan_pl.report.sweep_settings import Settings, in_order, named

MOST_BLOCKS, MOST_COLUMNS, MOST_NORMAL, MOST_IMAGES = 4, 8, 2, 8
MOST_TRIED = 12  # blocks; runs without reconstructions, or images in common, would all be read for nothing
LARGEST_SIDE = 128  # px of a tile in the page, which shows it smaller


class Seen(NamedTuple):
    """What one run made of one image."""

    run: int
    tiles: dict[str, str]  # name -> data: address
    score: str  # the share of normal images below it
    called: bool  # anomalous


class Row(NamedTuple):
    """One image."""

    image: str  # data: address
    name: str  # of its class
    anomalous: bool
    seen: list[Seen]


class Block(NamedTuple):
    """Runs that differ in one option only."""

    title: str
    columns: list[str]
    rows: list[Row]


def blocks(runs: Sequence[SweepRun], settings: Settings) -> list[Block]:
    """At most MOST_BLOCKS, over gamma first; none where runs have no image in common."""
    found = list[Block]()
    for x, several in islice(_candidates(settings), MOST_TRIED):
        if len(found) == MOST_BLOCKS:
            break
        if (block := _block(runs, settings, x, several)) is not None:
            found.append(block)
    return found


def _candidates(settings: Settings) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """An option, and the (setting, run) that differ in nothing else and share the seed; gamma first."""
    keys = [factor.key for factor in settings.factors]
    for x in sorted(range(len(keys)), key=lambda place: keys[place] != GAMMA):
        rest = defaultdict[tuple[Any, ...], list[int]](list)
        for place, group in enumerate(settings.groups):
            rest[group.values[:x] + group.values[x + 1 :]].append(place)
        for places in rest.values():
            groups = {place: settings.groups[place] for place in places}
            seeds = [seed for group in groups.values() for seed in group.seeds]
            seed = max(dict.fromkeys(seeds), key=seeds.count)  # the first of those that most settings have
            runs = {place: dict(zip(group.seeds, group.runs, strict=True)).get(seed) for place, group in groups.items()}
            several = [(place, run) for place, run in runs.items() if run is not None]
            if len(several) > 1:
                yield x, sorted(several, key=lambda one: in_order(groups[one[0]].values[x]))


class Looked(NamedTuple):
    """A run whose images are shown."""

    setting: int  # place among the groups
    run: int  # place among the runs
    files: RunFiles
    examples: Examples


def _block(runs: Sequence[SweepRun], settings: Settings, x: int, several: Sequence[tuple[int, int]]) -> Block | None:
    kept = _spread([one for one in several if (runs[one[1]].folder / "examples.npz").is_file()])
    there = [one for place, run in kept if (one := _looked(place, run, runs[run])) is not None]
    chosen = _in_common([one.examples for one in there]) if len(there) > 1 else []
    if not chosen:
        return None
    maps = [one.examples.maps[_rows(one.examples, chosen)] for one in there if one.examples.maps is not None]
    scale = float(np.quantile(np.concatenate([part.ravel() for part in maps]), 0.998)) if maps else 1.0
    rows = [_row(there, index, scale or 1.0) for index in chosen]
    columns = [named(settings.factors[x], settings.groups[one.setting].values[x]) or "without" for one in there]
    title = panel_label(settings, (x,), settings.groups[there[0].setting])
    return Block(f"{title}, seed {runs[there[0].run].seed}", columns, rows)


def _looked(place: int, number: int, run: SweepRun) -> Looked | None:
    """None for a run without reconstructions; what is damaged is said by the run's own report."""
    try:
        files = read_run(run.folder)
    except (ValueError, OSError):
        return None
    if files.examples is None or files.examples.reconstructions is None:
        return None
    return Looked(place, number, files, files.examples)


def _row(there: Sequence[Looked], index: int, scale: float) -> Row:
    first = there[0]
    picture = tiles(first.examples, int(_rows(first.examples, [index])[0]), scale)["input"]
    name, anomalous = "", index not in _normal(first.examples)
    if (scores := first.files.scores) is not None and index in scores.indices:
        name = scores.classes[int(np.argmax(scores.indices == index))]
    return Row(_small(picture), name, anomalous, [_seen(one, index, scale) for one in there])


def _spread(there: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most MOST_COLUMNS of them, evenly, both ends among them."""
    places = np.unique(np.linspace(0, len(there) - 1, min(len(there), MOST_COLUMNS)).round().astype(int))
    return [there[place] for place in places] if there else []


def _in_common(several: Sequence[Examples]) -> list[int]:
    """Images that all runs kept: normal ones first; every one looks the same to all, or nothing is shown."""
    first = several[0]
    common = set.intersection(*(set(one.indices.tolist()) for one in several))
    order = dict.fromkeys(index for index in first.indices.tolist() if index in common)
    normal = _normal(first)
    chosen = [index for index in order if index in normal][:MOST_NORMAL]
    chosen += [index for index in order if index not in normal][: MOST_IMAGES - len(chosen)]
    images = [one.images[_rows(one, chosen)] for one in several]
    return chosen if all(np.array_equal(images[0], other) for other in images[1:]) else []


def _normal(examples: Examples) -> set[int]:
    return set(examples.indices[np.isin(examples.kind, ("normal", "false alarm"))].tolist())


def _rows(examples: Examples, chosen: Sequence[int]) -> np.ndarray:
    places = {int(index): row for row, index in enumerate(examples.indices)}
    return np.array([places[index] for index in chosen], dtype=np.int64)


def _seen(one: Looked, index: int, scale: float) -> Seen:
    row = int(_rows(one.examples, [index])[0])
    shown = {name: _small(pixels) for name, pixels in tiles(one.examples, row, scale).items() if name != "input"}
    scores, words, called = one.files.scores, "", False
    if scores is not None and index in scores.indices:
        place = int(np.argmax(scores.indices == index))
        below = np.mean(scores.score[scores.labels == 0] < scores.score[place])
        words, called = f"{100 * below:.0f} %", scores.decisions is not None and bool(scores.decisions[place])
    return Seen(one.run, shown, words, called)


def _small(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data: address; huge ones by every second, third ... pixel."""
    step = max(1, max(pixels.shape[:2]) // LARGEST_SIDE)
    return address(png(pixels[::step, ::step]))
