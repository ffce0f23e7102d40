"""The config that a run really uses: as composed, or as its checkpoint says with what was typed on top."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

# What belongs to this command or machine and not to the checkpoint.
NOT_INHERITED = ("run", "checkpoint", "task", "data.cache_dir")

BROUGHT = ("features.checkpoint", "features.weights")  # where a checkpoint's weights once came from


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
        key = option_of(override)
        if "@" in key or key in ("experiment", "sweep", "budget"):
            raise ValueError(f"{override} cannot be combined with checkpoint=: the checkpoint brings its own settings")
        if key in BROUGHT:
            raise ValueError(f"{override} has no effect beside checkpoint=, which brings those weights: leave it out")
        if override.startswith("~"):
            _remove(merged, key)
        else:
            OmegaConf.update(merged, key, _raw(config, key), merge=False, force_add=True)
    for key in NOT_INHERITED:
        OmegaConf.update(merged, key, _raw(config, key), merge=False, force_add=True)
    return merged


def continued(earlier: Iterable[str], typed: list[str]) -> list[str]:
    """What to type to get a continued run in one go: what was typed first, as far as it was not typed anew since."""
    since = {option_of(override): override for override in typed if option_of(override) not in NOT_INHERITED}
    return [*(override for override in earlier if option_of(override) not in since), *since.values()]


def option_of(override: str) -> str:
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
