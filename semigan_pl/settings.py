"""The config that a run really uses: as composed, or as its checkpoint says with what was typed on top."""

from __future__ import annotations

import importlib
import pickle
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

NOT_INHERITED = ("run", "checkpoint", "task")
# What a config out of a checkpoint may build: `_target_` runs any callable it names. Of our own code what is defined in
# these packages, and only there: `semigan_pl.data.cache.os.system` leads through a module to somebody else's function.
OWN = tuple(
    f"semigan_pl.{part}" for part in ("networks", "losses", "methods", "data", "evaluation", "callbacks", "loggers")
)
OWN_TOO = ("semigan_pl.latent_search.LatentSearch",)
FOREIGN = (
    "pytorch_lightning.Trainer",
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.NAdam",
    "torch.optim.RAdam",
    "torch.optim.RMSprop",
    "torch.optim.SGD",
)
INNERMOST = re.compile(r"\$\{([^${}]*)\}")
HARMLESS_RESOLVERS = {"now", "hydra", "oc.env"}  # those that only look something up: oc.create could write a _target_


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
    for suspect in _suspects(config):
        raise ValueError(f"{path} asks for {suspect}, which no checkpoint may: do not use this file")
    return content


def _suspects(config: Any) -> Iterator[str]:
    """Everything in nested containers that could run code: targets beyond the allow-list, resolvers that compute."""
    if isinstance(config, dict):
        if "_target_" in config and not _may_be_built(str(config["_target_"])):
            yield str(config["_target_"])
        for value in config.values():
            yield from _suspects(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _suspects(value)
    elif isinstance(config, str):
        yield from (f"${{{name}:" for name in _resolvers(config) if name not in HARMLESS_RESOLVERS)
    elif not isinstance(config, (int, float, type(None))):
        yield type(config).__name__


def _resolvers(text: str) -> Iterator[str]:
    """Names of the resolvers that a text calls, from the innermost `${...}` outwards: a name may itself be resolved."""
    while match := INNERMOST.search(text):
        name, colon, _ = match[1].partition(":")
        if colon:
            yield name.strip()
        text = f"{text[: match.start()]}?{text[match.end() :]}"
    if "${" in text:  # something that is not taken apart so easily
        yield text


def _may_be_built(target: str) -> bool:
    if target in FOREIGN or target in OWN_TOO:
        return True
    module_name, _, name = target.rpartition(".")
    if not any(module_name == package or module_name.startswith(f"{package}.") for package in OWN):
        return False
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ImportError:
        return False
    return getattr(found, "__module__", None) == module_name and callable(found)


def check_weights(path: Path, content: dict[str, Any], model: nn.Module) -> None:
    """Raises ValueError unless the weights of a checkpoint are those of this model, by name and shape."""
    own = {name: value.shape for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    stored = {name: value.shape for name, value in content["state_dict"].items() if isinstance(value, torch.Tensor)}
    if different := sorted(name for name in own.keys() | stored.keys() if own.get(name) != stored.get(name)):
        raise ValueError(
            f"{path} holds other networks than this model ({len(different)} weights differ, such as {different[0]}):"
            " leave model, network.* and data.image_size and data.channels to the checkpoint"
        )


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
