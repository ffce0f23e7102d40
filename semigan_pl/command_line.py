"""What is typed after `run.py`, before and after it makes sense: quotes for paths, and errors in one sentence."""

from __future__ import annotations

import difflib
import errno
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONF = Path(__file__).parents[1] / "conf"
PATHS = (
    *("run", "runs", "checkpoint", "model.gan_checkpoint", "features.checkpoint", "features.weights"),
    *("data.root", "data.clutter", "data.cache_dir", "data.known_list", "data.manifest", "table.records"),
)
LONGEST = 200  # bytes of a folder's name: file systems take 255, and files beside it have longer ones
OF_WANDB = ("logger.entity", "logger.project")  # of no other logger: W&B is meant
ADDED = ("experiment", "sweep", "budget")  # groups without a default
# shown as one sentence, without a traceback
BAD_INPUT = (ValueError, OSError, FloatingPointError, HydraException, OmegaConfBaseException)


def job_folder(overrides: str) -> str:
    """The folder of a multirun's job, from what varies: one folder, whatever slashes and however many letters."""
    name = overrides.replace("/", ".")
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name.encode()[: LONGEST - len(digest) - 1].decode(errors='ignore')}-{digest}"


OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def as_typed(path: Path) -> Path:
    """A path as one would type it here: what is kept of it is then the same on another machine."""
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path


def quoted(argument: str) -> str:
    """A path in the quotes that Hydra wants: it would parse the `=` of a multirun's folder, blanks and accents."""
    key, _, path = argument.partition("=")
    is_list = key in ("runs", "table.records") and path.startswith("[")
    needs_quotes = path and path[0] not in "'\"$" and not is_list and re.search(r"[^\w./,~-]", path, re.ASCII)
    return f'{key}="{path}"' if key in PATHS and needs_quotes else argument


def in_full(arguments: Sequence[str]) -> list[str]:
    """What is typed, as Hydra takes it: paths in quotes, `logger.entity=` and `logger.project=` as options of W&B."""
    keys = [argument.partition("=")[0] for argument in arguments]
    short = [key in OF_WANDB for key in keys]
    full = [
        argument.replace("logger.", "logger.wandb.", 1) if is_short else quoted(argument)
        for argument, is_short in zip(arguments, short, strict=True)
    ]
    return [*full, "logger=wandb"] if any(short) and "logger" not in keys else full


def sentence(error: BaseException, typed: Sequence[str]) -> str:
    """What went wrong and what to do, in one sentence.

    Args:
        error: one of BAD_INPUT.
        typed: the overrides as typed, for what Hydra cannot know: which option was meant.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return f"no space left on the device{where}: free some, or write elsewhere with run=FOLDER"
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read as option=value: put values with blanks, commas or brackets in quotes"
    if isinstance(error, InstantiationException):
        return _cause(error, typed)
    if isinstance(error, HydraException):
        return _composition(str(error), typed)
    return " ".join(str(error).split()) or type(error).__name__


def _cause(error: BaseException, typed: Sequence[str]) -> str:
    """What a part complained of while it was built, without Hydra's wrapping."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    said = " ".join(str(error).split())
    if isinstance(error, (TypeError, AttributeError)):
        wrong = [f"{option} is no number (it is {default} by default)" for option, default in _not_numbers(typed)]
        return wrong[0] if wrong else f"{said}: an option has a value of the wrong kind"
    return said


def _composition(said: str, typed: Sequence[str]) -> str:
    """A sentence about an option or a choice that does not exist."""
    if match := re.search(r"Could not override '([^']+)'", said):
        option = match[1]
        config, groups = _defaults(typed)
        if option in ADDED:
            return f"{option} is added, not changed: write +{option}=..."
        near = _nearest(option, [*groups, *_options(config)])
        if near == option:
            return f"{option} cannot be set to a part of itself: give all of it, in quotes"
        advice = f"did you mean {near}?" if near else "`python run.py --cfg job` lists them"
        return f"there is no option {option}: {advice} (+{option}=... adds a new one)"
    if match := re.search(r"Could not find '([^']+)'", said):
        group, _, choice = match[1].rpartition("/")
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        near = _nearest(choice, choices)
        meant = f"did you mean {near}? There" if near else "there"
        return f"{group}={choice} does not exist: {meant} are {', '.join(choices) or 'none'}"
    return " ".join(said.split())


def _nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that looks most like this one; for an option also by its last part: gamma is model.gamma."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    last = {name.rpartition(".")[2]: name for name in known}
    close = close or [last[name] for name in difflib.get_close_matches(word.rpartition(".")[2], list(last), n=1)]
    return close[0] if close else None


def _not_numbers(typed: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Options that got a word where their default is a number, with that default."""
    config, _ = _defaults(typed)
    for override in typed:
        key, _, _ = override.lstrip("+").partition("=")
        default = OmegaConf.select(config, key, throw_on_missing=False)
        value = OverridesParser.create().parse_override(override).value()
        if isinstance(default, (int, float)) and not isinstance(default, bool) and isinstance(value, str):
            yield override, default


def _defaults(typed: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """The config of the typed groups without anything else that was typed, and the names of the groups."""
    groups = sorted(path.name for path in CONF.iterdir() if path.is_dir())
    pairs = [override.lstrip("+").partition("=")[::2] for override in typed]
    chosen = [
        f"{'' if key not in ADDED else '+'}{key}={value}"
        for key, value in pairs
        if key in groups and (CONF / key / f"{value}.yaml").is_file()
    ]
    running = GlobalHydra.instance().hydra  # where a job complains, Hydra's main is still at work
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=[*chosen, "run=here"]), groups
    finally:
        GlobalHydra.instance().hydra = running


def _options(config: Any, above: str = "") -> Iterator[str]:
    """Every option below a node of a config, in full."""
    for key in config:
        name = f"{above}{key}"
        yield name
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_interpolation():
            yield from _options(node, f"{name}.")
