"""What a table consists of: settings x methods x classes x seeds of `conf/table`, and the runs that measure them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from semigan_pl.checks import whole
from semigan_pl.report.comparison_runs import Cell, Layout, Reference
from semigan_pl.settings import option_of
from semigan_pl.tasks.study import Job
from semigan_pl.tasks.table_entries import Method, Setting, check_names, is_run, read_entries, read_layout

OWN = ("task", "run", "name", "experiment", "table")  # options of the table itself; all others go to every run
NOT_THERE = ("checkpoint", "sweep")  # options that make no sense for many runs at once
ALWAYS = {"seed", "data.known_classes"}  # varied by every table
DIMENSIONS = ("settings", "methods", "classes", "seeds")
NEEDED = "{needed}"  # in the overrides of a setting: the folder of the run that it needs


class Plan(NamedTuple):
    """All cells of the table, and the runs that fill them."""

    settings: dict[str, Setting]
    methods: dict[str, Method]
    cells: list[Cell]
    jobs: dict[Path, Job]  # by folder: one run may fill cells of several settings
    wanted: list[Job]  # those that table.only leaves, and those that they need, in the order in which they are run
    references: list[Reference]
    layout: Layout

    @property
    def known(self) -> dict[Path, str]:
        """By the folder of a run: the class without which its numbers are shown as well."""
        return {cell.folder: cell.known for cell in self.cells if cell.known is not None}


def make_plan(table: Mapping[str, Any], typed: Sequence[str], folder: Path) -> Plan:
    """The plan of `config.table`, with what was typed.

    Raises ValueError, in one sentence, for what the yaml or the command line has wrong.
    """
    settings = read_entries(Setting, "settings", table["settings"])
    methods = read_entries(Method, "methods", table["methods"])
    check_names(settings, methods)
    classes = {str(name): list(overrides) for name, overrides in table["classes"].items()}
    seeds = {str(seed): [f"seed={whole('table.seeds', seed, least=0)}"] for seed in table["seeds"]}
    entries: list[Setting | Method] = [*settings.values(), *methods.values()]
    varied = [*(one.overrides for one in entries), *classes.values()]
    typed = _handed_on(typed, {option_of(override) for overrides in varied for override in overrides} | ALWAYS)
    known_class = {str(name): str(known) for name, known in table["known_class"].items()}
    cells, jobs = list[Cell](), dict[Path, Job]()
    for seed, name, setting, method in product(seeds, classes, settings, methods):
        if not is_run(methods[method], setting, settings[setting]):
            continue
        home = _home(setting, settings, methods[method])
        place = folder / home / method / name / f"seed={seed}"
        chosen = [settings[home].overrides, methods[method].overrides, classes[name], seeds[seed]]
        if settings[home].known == "one":
            chosen.append([f"data.known_classes=[{_known(known_class, name)}]"])
        needs = _needed(settings[home], settings, methods)
        needed = None if needs is None else folder.joinpath(*needs, name, f"seed={seed}")
        jobs[place] = Job(place, _combined(table["base"], *chosen, typed, needed=needed), needed)
        known = _known(known_class, name) if settings[setting].known == "one" else None
        cells.append(Cell(setting, method, name, seed, place, known, home))
    only = _only(table["only"], (settings, methods, classes, seeds))
    chosen_jobs = [jobs[cell.folder] for cell in cells if all(map(set.__contains__, only, cell[:4]))]
    wanted = dict.fromkeys(place for job in chosen_jobs for place in (job.needs, job.folder) if place is not None)
    references = list(read_entries(Reference, "published", table["published"]).values())
    parts = (cells, jobs, [jobs[place] for place in wanted], references, read_layout(table))
    return Plan(settings, methods, *parts)


def _home(setting: str, settings: Mapping[str, Setting], method: Method) -> str:
    """The setting in whose folder the runs of this method are made."""
    like = settings[setting].like
    return like if like is not None and method.known == "ignored" else setting


def _needed(setting: Setting, settings: Mapping[str, Setting], methods: Mapping[str, Method]) -> tuple[str, str] | None:
    """Setting and method, as folders, of the run that the runs of a setting need."""
    if setting.needs is None:
        return None
    method = setting.needs["method"]
    return _home(setting.needs["setting"], settings, methods[method]), method


def _known(known_class: Mapping[str, str], name: str) -> str:
    if name not in known_class:
        raise ValueError(f"table.known_class does not say which class is known where {name} is normal: add {name}: ...")
    return known_class[name]


def _handed_on(typed: Sequence[str], varied: Iterable[str]) -> list[str]:
    """What was typed for every run. Raises ValueError for what the table itself decides."""
    kept = []
    for override in typed:
        option = option_of(override)
        if option in varied:
            raise ValueError(
                f"{override} would undo what the table varies: narrow it with table.only, or write another"
            )
        if option in NOT_THERE:
            raise ValueError(f"{override} does not go with task=table: type it for a single run")
        if option.partition(".")[0].partition("@")[0] not in OWN:
            kept.append(override)
    return kept


def _combined(*parts: Iterable[str], needed: Path | None) -> tuple[str, ...]:
    """All overrides in order; of two for the same option the later one."""
    chosen = {option_of(override): override for part in parts for override in part}
    return tuple(chosen.values() if needed is None else (one.replace(NEEDED, str(needed)) for one in chosen.values()))


def _only(only: Mapping[str, Any], there: Sequence[Iterable[str]]) -> list[set[str]]:
    """The names in use, of every dimension."""
    return [set(_chosen(only, dimension, list(names))) for dimension, names in zip(DIMENSIONS, there, strict=True)]


def _chosen(only: Mapping[str, Any], dimension: str, names: Sequence[str]) -> Iterator[str]:
    wanted = only[dimension]
    for name in names if wanted is None else wanted if isinstance(wanted, list) else [wanted]:
        if str(name) not in names:
            raise ValueError(
                f"table.only.{dimension} names {name}, which is not there: choose among {', '.join(names)}"
            )
        yield str(name)
