"""The config that a run really uses: as composed, or as its checkpoint says with what was typed on top."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

NOT_INHERITED = ("run", "checkpoint", "task")
# what a config out of a checkpoint may build: `_target_` runs any callable it names
BUILDABLE = (
    *(f"semigan_pl.{part}." for part in ("networks", "losses", "methods", "data", "evaluation", "callbacks")),
    "semigan_pl.latent_search.LatentSearch",
    "torch.optim.",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
)


def checkpoint_path(config: DictConfig) -> Path | None:
    """The checkpoint that `checkpoint=` names: `last` is that of the run's own folder; null: none.

    Raises FileNotFoundError, with what to do, where it is not there.
    """
    if config.checkpoint is None:
        return None
    path = Path(config.run) / "checkpoints" / "last.ckpt" if config.checkpoint == "last" else Path(config.checkpoint)
    if not path.is_file():
        advice = "correct run=FOLDER, or start it anew" if config.checkpoint == "last" else "correct checkpoint=PATH"
        raise FileNotFoundError(f"there is no checkpoint {path}: {advice}")
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, loaded as data only, its config checked: a file from a stranger cannot run code.

    Raises ValueError where the file is damaged, is no checkpoint of this project, or names classes it may not build.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        config = content["config"]
    except (pickle.UnpicklingError, OSError, EOFError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged or no checkpoint of this project ({type(error).__name__})") from error
    foreign = [target for target in _targets(config) if not target.startswith(BUILDABLE)]
    if foreign:
        raise ValueError(f"{path} asks to build {foreign[0]}, which no checkpoint may: do not use this file")
    return content


def _targets(config: Any) -> Iterator[str]:
    """Every `_target_` in nested containers."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield str(config["_target_"])
        config = list(config.values())
    for value in config if isinstance(config, list) else []:
        yield from _targets(value)


def inherit(config: DictConfig, earlier: dict[str, Any], overrides: list[str]) -> DictConfig:
    """The checkpoint's config with what was typed on top: values, and whole groups such as search=paper.

    Args:
        config: as composed from the command line, which settles what a typed option means.
        earlier: the config in the checkpoint.
        overrides: as typed, e.g. ["search=paper", "max_images=512000"].
    """
    merged = OmegaConf.create(earlier)
    assert isinstance(merged, DictConfig)
    for override in overrides:
        key = _key(override)
        if "@" in key or key in ("experiment", "sweep"):
            raise ValueError(f"{override} cannot be combined with checkpoint=: the checkpoint brings its own settings")
        if override.startswith("~"):
            _remove(merged, key)
        else:
            OmegaConf.update(merged, key, _raw(config, key), merge=False, force_add=True)
    for key in NOT_INHERITED:
        merged[key] = config[key]
    return merged


def continued(earlier: Iterable[str], typed: list[str]) -> list[str]:
    """What to type to get a continued run in one go: what was typed first, as far as it was not typed anew since."""
    since = {_key(override): override for override in typed if _key(override) not in NOT_INHERITED}
    return [*(override for override in earlier if _key(override) not in since), *since.values()]


def _key(override: str) -> str:
    """The option that an override sets, e.g. `model.gamma` of `+model.gamma=1`."""
    return override.lstrip("+~").partition("=")[0].replace("/", ".")


def _remove(config: DictConfig, key: str) -> None:
    parent, _, name = key.rpartition(".")
    with open_dict(config):
        del (OmegaConf.select(config, parent) if parent else config)[name]


def _raw(config: DictConfig, key: str) -> Any:
    """A node's value with its interpolations left as they are, to be resolved where it goes."""
    parent_key, _, name = key.rpartition(".")
    parent = OmegaConf.select(config, parent_key) if parent_key else config
    node: Any = parent._get_node(name)
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node._value()
