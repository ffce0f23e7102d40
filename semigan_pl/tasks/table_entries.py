"""The entries of `conf/table`: settings, methods, published numbers, and what is shown; read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from semigan_pl.checks import number, shown, yes_or_no
from semigan_pl.report.comparison_runs import METRICS, Layout, Reference


@dataclass(frozen=True)
class Setting:
    """What the training images hold."""

    title: str
    known: str  # none, all (classes), one (class)
    overrides: list[str]  # {needed} in one of them is the folder of the run that is needed
    like: str | None = None  # the setting in whose runs a method that ignores known anomalies sees the same images
    needs: dict[str, str] | None = None  # setting and method: the run of the same class and seed that has to come first

    CHOICES: ClassVar = ("none", "all", "one")


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    known: str  # what it does with known anomalies: ignored, used, needed
    overrides: list[str]
    settings: list[str] | None = None  # where it is run; None: everywhere
    seconds: dict[str, float] | None = None  # by budget=: what one run takes on one CPU core, about

    CHOICES: ClassVar = ("ignored", "used", "needed")


T = TypeVar("T", Setting, Method, Reference)


def read_entries(kind: type[T], section: str, raw: Mapping[Any, Any]) -> dict[str, T]:
    """The entries of a section of the yaml by name; its keys are the fields of `kind`. Raises ValueError."""
    entries = {}
    for name, content in raw.items():
        try:
            entries[str(name)] = kind(**content)
        except TypeError:
            keys = ", ".join(field.name for field in fields(kind))
            raise ValueError(f"table.{section}.{name} has a key too many or too few: it takes {keys}") from None
        choices = getattr(kind, "CHOICES", None)
        if choices and content["known"] not in choices:
            raise ValueError(f"table.{section}.{name}.known={content['known']}: use one of {', '.join(choices)}")
    return entries


def read_layout(table: Mapping[str, Any]) -> Layout:
    """What is shown. Raises ValueError for a metric that is not measured."""
    metrics = {str(name): str(heading) for name, heading in _mapping("table.metrics", table["metrics"]).items()}
    for name in metrics or {"": ""}:
        if name not in METRICS:
            raise ValueError(f"table.metrics names {name or 'nothing'}: use some of {', '.join(METRICS)}")
    return Layout(metrics, str(table["class_label"] or "{}"), yes_or_no("table.mean", table["mean"]))


def check_names(settings: Mapping[str, Setting], methods: Mapping[str, Method]) -> None:
    """Raises ValueError where an entry names another one that is not there, or a run that is not made."""
    for name, setting in settings.items():
        if setting.like is not None:
            _known(f"table.settings.{name}.like", [setting.like], settings, "setting")
        if setting.needs is not None:
            _check_needs(f"table.settings.{name}.needs", setting.needs, settings, methods)
    for name, method in methods.items():
        if isinstance(method.settings, str):
            raise ValueError(f"table.methods.{name}.settings must be a list: write [{method.settings}]")
        _known(f"table.methods.{name}.settings", method.settings or (), settings, "setting")
        for budget, seconds in _mapping(f"table.methods.{name}.seconds", method.seconds or {}).items():
            number(f"table.methods.{name}.seconds.{budget}", seconds, above=0)


def _mapping(option: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{option}={shown(value)} must be names with values, such as {{name: value}}")
    return value


def is_run(method: Method, name: str, setting: Setting) -> bool:
    """Whether a method is run in a setting, by that setting's name."""
    has_known = method.known != "needed" or setting.known != "none"
    return has_known and (method.settings is None or name in method.settings)


def _known(option: str, names: Iterable[str], there: Iterable[str], kind: str) -> None:
    for name in names:
        if name not in there:
            raise ValueError(f"{option}={name} is no {kind}: there are {', '.join(there)}")


def _check_needs(
    option: str, needs: Mapping[str, str], settings: Mapping[str, Setting], methods: Mapping[str, Method]
) -> None:
    if set(needs) != {"setting", "method"}:
        raise ValueError(f"{option} takes a setting and a method, nothing else")
    _known(f"{option}.setting", [needs["setting"]], settings, "setting")
    _known(f"{option}.method", [needs["method"]], methods, "method")
    setting = settings[needs["setting"]]
    if setting.needs is not None or not is_run(methods[needs["method"]], needs["setting"], setting):
        raise ValueError(
            f"{option}: {needs['method']} is not run in {needs['setting']}, or waits for a run itself: name another"
        )
