"""Many runs' folders, read fast: what each measured, with which settings; what is wrong with those that cannot be read.

A thousand runs differ in a few lines of their configs, so each part of a config is parsed once for all runs that have
it word for word.
"""

from __future__ import annotations

import csv
import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import yaml

LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml's, ten times as fast, where PyYAML was built with it
FAILURE = "failure.txt"  # in the folder of a multirun's job: why it failed, until it is tried again
MARKS = (".hydra", "metrics.json", "data.json", FAILURE)  # one of them makes a folder a run's
LOGS = ("output.log", "log.txt")  # they do too, unless runs lie below: somebody's log may lie beside them
COLUMNS = ("index", "label", "score")  # of scores.csv
SECTION = re.compile(r"^(?=[^\s#-])", re.MULTILINE)  # a line that is not indented begins a part of a config
WHOLE = re.compile(r"\$\{([\w.]+)\}")  # a value that is another option's


class SweepRun(NamedTuple):
    """What the small files of a run's folder say."""

    folder: Path
    trouble: str  # why it cannot be compared; empty: it can
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]  # option in full -> a number, a word, true, false or null; a list as its text
    overrides: list[str]

    @property
    def seed(self) -> str:
        """As typed."""
        return str(self.settings.get("seed", self.metrics.get("seed", "")))

    def number(self, key: str) -> float | None:
        """A metric, None where it is not defined in this run."""
        value = self.metrics.get(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if is_number and np.isfinite(value) else None  # type: ignore[arg-type]


class ImageScores(NamedTuple):
    """One row per test image."""

    indices: np.ndarray  # (n,) int64
    labels: np.ndarray  # (n,) int64, 1 = anomalous
    scores: np.ndarray  # (n,) float64, higher = more anomalous


def find_runs(places: Sequence[str]) -> list[Path]:
    """Folders of runs, each once: the places themselves or somewhere below; a place may have wildcards.

    Raises FileNotFoundError where a place holds none.
    """
    found = dict[Path, Path]()
    for place in places:
        roots = [place] if os.path.isdir(place) else sorted(glob.glob(place, recursive=True))
        folders = [folder for root in roots if os.path.isdir(root) for folder in _below(Path(root))]
        if not folders:
            what = "holds no run" if roots else "is not there"
            raise FileNotFoundError(f"runs={place} {what}: name folders that runs lie in, or somewhere below")
        found |= {folder.resolve(): folder for folder in reversed(folders)}
    return sorted(found.values())


def _below(folder: Path) -> Iterator[Path]:
    """The folder if it is a run's, or those below; nothing is looked for inside a run."""
    with os.scandir(folder) as entries:
        there = list(entries)
    if any(entry.name in MARKS for entry in there):
        yield folder
        return
    found = False
    for entry in sorted(there, key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            for run in _below(folder / entry.name):
                found = True
                yield run
    if not found and any(entry.name in LOGS for entry in there):
        yield folder


def read_sweep(folders: Sequence[Path]) -> list[SweepRun]:
    """All runs in their order; one that is broken or not finished says so and has what could be read."""
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> SweepRun:
    settings, overrides, trouble = dict[str, Any](), list[str](), ""
    metrics = dict[str, Any]()
    try:
        settings = read_config((folder / ".hydra" / "config.yaml").read_text(encoding="utf-8"))
        typed = yaml.load((folder / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"), Loader=LOADER)
        overrides = [str(override) for override in typed or []]
    except FileNotFoundError as error:
        trouble = f".hydra/{Path(error.filename).name} is missing: what was run is not known"
    except (ValueError, TypeError, AttributeError, OSError, yaml.YAMLError) as error:
        trouble = f"its config is damaged ({_short(error)})"
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        if not isinstance(metrics, dict):
            metrics, trouble = {}, f"metrics.json is damaged (it holds a {type(metrics).__name__})"
    except FileNotFoundError:
        trouble = _unfinished(folder)
    except (ValueError, OSError) as error:
        trouble = f"metrics.json is damaged ({_short(error)})"
    return SweepRun(folder, trouble, metrics, settings, overrides)


def _unfinished(folder: Path) -> str:
    """Why there is no metrics.json, as far as the run has said it."""
    if (note := folder / FAILURE).is_file() and (reason := note.read_text(encoding="utf-8", errors="replace").strip()):
        return _short(reason)
    for name in LOGS:
        if (log := folder / name).is_file():
            said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if "rror: " in line]
            if said:
                return _short(said[-1].strip())
    return "not finished"


def _short(said: object) -> str:
    words = " ".join(str(said).split())
    return words if len(words) <= 200 else f"{words[:199]}…"


def read_config(text: str) -> dict[str, Any]:
    """Every option of a config by its name in full.

    One that is another option's (`${...}`) has the other's value where people set it, that is down to `model.gamma`;
    deeper ones, and all that follow the seed, stay as written: they say nothing new.
    """
    settings = dict[str, Any]()
    for part in SECTION.split(text):
        if part.strip():
            settings |= _section(part)
    for key, value in settings.items():
        if isinstance(value, str) and key.count(".") < 2 and (match := WHOLE.fullmatch(value)) and match[1] != "seed":
            settings[key] = settings.get(match[1], value)
    return settings


@lru_cache(maxsize=20_000)
def _section(text: str) -> Mapping[str, Any]:
    content = yaml.load(text, Loader=LOADER)  # a safe loader: plain values only
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    return MappingProxyType(dict(_leaves(content or {}, "")))


def _leaves(tree: Mapping[Any, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if not isinstance(value, (list, dict)) else json.dumps(value, default=str)


def read_scores(folder: Path) -> ImageScores:
    """The test images of a run. Raises FileNotFoundError, or ValueError where the file is damaged."""
    path = folder / "scores.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names = next(csv.reader(file), [])
            places = [names.index(name) for name in COLUMNS]
            numbers = np.loadtxt(file, delimiter=",", usecols=places, quotechar='"', comments=None, ndmin=2)  # (n, 3)
    except (ValueError, IndexError, StopIteration) as error:
        raise ValueError(f"{path} is damaged ({_short(error)})") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{path} holds scores that are no finite numbers")
    return ImageScores(numbers[:, 0].astype(np.int64), numbers[:, 1].astype(np.int64), numbers[:, 2])
