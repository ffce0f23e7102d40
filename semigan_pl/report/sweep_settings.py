"""What differs between runs: which options tell settings apart, and which runs are the same but for the seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from semigan_pl.report.sweep_files import SweepRun

ABSENT = "–"  # a run without this option: of another method, say
# What a run is told apart by first, in the order of a table's columns; further options only where these do not suffice.
FIRST = (
    *("model.name", "data.name", "data.normal_classes", "data.contamination", "data.outlier_share"),
    *("data.known_classes", "data.known_anomalies", "model.gamma", "data.fold", "loss._target_", "network.size"),
)
LABELS = {
    **{"model.name": "method", "data.name": "data", "loss._target_": "loss", "data.normal_classes": "normal"},
    **{"data.known_anomalies": "known", "data.known_classes": "known kinds"},
}
SAID_BY_VALUE = ("model.name", "data.name", "loss._target_")  # the value alone says it
NOT_SETTINGS = ("seed", "run", "name", "task", "runs", "objective", "cards", "overlays")
# of this machine, of where things lie, of what is written down while training
OF_THE_PLACE = (
    *("logger", "data.cache_dir", "data.cache_memory_mb", "data.download", "data.source", "data.module"),
    "trainer.default_root_dir",
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.log_every_n_steps"),
    *("callbacks.progress_bar", "callbacks.image_grid", "callbacks.time_estimate", "callbacks.timing"),
    *("callbacks.score_writer", "callbacks.checkpoint", "callbacks.rehearsal"),
)
FOLDERS = ("data.root", "data.manifest", "data.known_list", "data.clutter")  # the same data may lie elsewhere
BUILT_ON = ("checkpoint", "model.gan_checkpoint", "features.checkpoint", "features.weights")


class Factor(NamedTuple):
    """An option that tells settings apart."""

    key: str
    label: str


class Group(NamedTuple):
    """Runs that are the same but for the seed."""

    values: tuple[Any, ...]  # of the factors
    runs: tuple[int, ...]  # places among all runs, one for each seed, in the order of `seeds`
    seeds: tuple[str, ...]


class Settings(NamedTuple):
    """All runs that can be compared, in groups."""

    factors: list[Factor]
    groups: list[Group]
    repeated: dict[int, int]  # a run of the same setting and seed as a later one -> that one, which counts
    differing: dict[str, dict[str, int]]  # option -> value as text -> how many runs have it

    def label(self, group: Group) -> str:
        """A setting in words."""
        words = [named(factor, value) for factor, value in zip(self.factors, group.values, strict=True)]
        return ", ".join(word for word in words if word) or "all runs"

    def against(self, group: Group, reference: Group) -> str:
        """What a reference has that a setting has not, in words."""
        values = zip(self.factors, group.values, reference.values, strict=True)
        return ", ".join(named(factor, b) or f"no {factor.label}" for factor, a, b in values if a != b)


def named(factor: Factor, value: Any) -> str:
    """One option's value in words; empty where a run has no such option, or null."""
    if value == ABSENT or (value is None and factor.key != "data.known_classes"):
        return ""
    return shown(value, factor.key) if factor.key in SAID_BY_VALUE else f"{factor.label} {shown(value, factor.key)}"


def shown(value: Any, key: str = "") -> str:
    """A value as one types it; of a class its name alone, of known classes all where none are chosen."""
    if key == "data.known_classes" and value is None:
        return "all"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).rpartition(".")[2] if key.endswith("_target_") else str(value)


def settings_of(runs: Sequence[SweepRun]) -> Settings:
    """Groups of the runs without trouble.

    Data is the same where the last name of its path is, since runs of one sweep may come from several machines; unless
    that makes one run of two, bottle/images and cable/images: then all of a path counts.
    """
    found = _settings(runs, in_full=False)
    elsewhere = [
        any(runs[one].settings.get(key) != runs[other].settings.get(key) for key in FOLDERS)
        for one, other in found.repeated.items()
    ]
    return _settings(runs, in_full=True) if any(elsewhere) else found


def _settings(runs: Sequence[SweepRun], in_full: bool) -> Settings:
    places = [place for place, run in enumerate(runs) if not run.trouble]
    columns = _columns([runs[place].settings for place in places], in_full)
    typed = {override.lstrip("+~").partition("=")[0] for place in places for override in runs[place].overrides}
    keys, parts = list[str](), [()] * len(places)  # type: list[str], list[tuple[Any, ...]]
    for key in sorted(columns, key=lambda key: _rank(key, typed)):
        finer = [(*part, value) for part, value in zip(parts, columns[key], strict=True)]
        if _may_split(key, columns[key]) and len(set(finer)) > len(set(parts)):
            keys.append(key)
            parts = finer
    factors = [Factor(key, label) for key, label in zip(keys, _labels(keys), strict=True)]
    groups, repeated = _grouped(runs, dict(zip(places, parts, strict=True)))
    return Settings(factors, groups, repeated, _differing(columns))


def _columns(settings: Sequence[Mapping[str, Any]], in_full: bool) -> dict[str, list[Any]]:
    """The options that are not the same in all runs, with their value in each."""
    keys = dict.fromkeys(key for one in settings for key in one)
    columns = {key: [_value(one, key, in_full) for one in settings] for key in keys}
    return {key: values for key, values in columns.items() if any(value != values[0] for value in values)}


def _value(settings: Mapping[str, Any], key: str, in_full: bool) -> Any:
    value = settings.get(key, ABSENT)
    if key.endswith(".seed") and value == settings.get("seed"):
        return "${seed}"  # some are written down as numbers
    if key == "checkpoint" and value == "last":
        return None  # where a run was continued is no setting of it
    if key in BUILT_ON and isinstance(value, str):
        return value.replace(f"seed={settings.get('seed')}", "seed=*")  # each seed on the run of the same seed
    return PurePath(value).name if key in FOLDERS and isinstance(value, str) and not in_full else value


def _may_split(key: str, values: Sequence[Any]) -> bool:
    """Whether an option makes two settings of one.

    Where it is there or not, and all that have it agree, it belongs to another method or came with a later version.
    """
    return not _is_of_the_place(key) and len({value for value in values if value != ABSENT}) > 1


def _is_of_the_place(key: str) -> bool:
    return key in NOT_SETTINGS or any(key == place or key.startswith(f"{place}.") for place in OF_THE_PLACE)


def _rank(key: str, typed: Iterable[str]) -> tuple[Any, ...]:
    """Those of FIRST, then what was typed, then the rest."""
    return FIRST.index(key) if key in FIRST else len(FIRST), key not in typed, key.count("."), key


def _labels(keys: Sequence[str]) -> list[str]:
    """The last word of each option, or all of it where two end alike."""
    short = [LABELS.get(key, key.removesuffix("._target_").rpartition(".")[2]) for key in keys]
    return [label if short.count(label) == 1 else key for key, label in zip(keys, short, strict=True)]


def _grouped(runs: Sequence[SweepRun], parts: Mapping[int, tuple[Any, ...]]) -> tuple[list[Group], dict[int, int]]:
    by_seed = defaultdict[tuple[Any, ...], dict[str, int]](dict)
    repeated = dict[int, int]()
    for place, values in parts.items():
        seeds = by_seed[values]
        if (earlier := seeds.get(runs[place].seed)) is not None:
            repeated[earlier] = place
        seeds[runs[place].seed] = place
    groups = []
    for values in sorted(by_seed, key=lambda values: [in_order(value) for value in values]):
        seeds = dict(sorted(by_seed[values].items(), key=lambda item: in_order(_number(item[0]))))
        groups.append(Group(values, tuple(seeds.values()), tuple(seeds)))
    return groups, repeated


def _number(word: str) -> Any:
    try:
        return float(word)
    except ValueError:
        return word


def is_number(value: Any) -> bool:
    """Whether a value can stand on an axis."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def in_order(value: Any) -> tuple[Any, ...]:
    """For sorting: numbers by size, then words, then what is absent."""
    return (0, value, "") if is_number(value) else (1 + (value == ABSENT), 0, str(value))


def _differing(columns: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, int]]:
    """The options that have several values, each with its number of runs: not those that only some methods have."""
    differing = {}
    for key in sorted(columns, key=lambda key: _rank(key, ())):
        if _may_split(key, columns[key]):
            counts = Counter(sorted(columns[key], key=in_order))
            differing[key] = {shown(value, key): n for value, n in counts.items()}
    return differing
