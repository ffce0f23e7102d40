"""A checkpoint's content, as data: a file from a stranger cannot run code."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

# What a config out of a checkpoint may build: `_target_` runs any callable it names. Of our own code public classes
# that are defined in these packages (`semigan_pl.data.cache.os.system` leads to somebody else's function), and of
# functions those after which their module is named, which read a data set, the metrics, and a schedule.
DETECTOR_PLACES = ("networks", "losses", "methods", "evaluation", "latent_search", "features", "baselines")
DETECTOR = tuple(f"semigan_pl.{part}" for part in DETECTOR_PLACES)
BESIDE = tuple(f"semigan_pl.{part}" for part in ("data", "callbacks", "loggers", "growth", "strategy"))
OWN = (*DETECTOR, *BESIDE, "pytorch_lightning.Trainer")
FUNCTIONS = ("semigan_pl.data.torchvision_sets.torchvision_set", "semigan_pl.growth.doubling_schedule")
OPTIMIZERS = (
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.NAdam",
    "torch.optim.RAdam",
    "torch.optim.RMSprop",
    "torch.optim.SGD",
)
INNERMOST = re.compile(r"\$\{([^${}]*)\}")
HARMLESS_RESOLVERS = {"now", "hydra", "oc.env"}  # those that only look something up: oc.create could write a _target_


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, loaded as data only, its config checked: a file from a stranger cannot run code.

    Raises ValueError where the file is damaged, is no checkpoint of this project, or names what it may not build.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all kinds of them on a file that is no checkpoint
        raise ValueError(f"{path} is damaged or no checkpoint of this project ({type(error).__name__})") from error
    for part in ("config", "state_dict", "data"):
        # a config that is text would be parsed as yaml, behind the back of everything that is checked here
        if type(content) is not dict or type(content.get(part)) not in (dict, OrderedDict):
            raise ValueError(f"{path} is damaged or no checkpoint of this project (it has no {part})")
    for suspect in _suspects(content["config"], OWN):
        raise ValueError(f"{path} asks for {suspect}, which no checkpoint may: do not use this file")
    _pin(content["config"])
    return content


def detector_parts(path: Path, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configs of the model and of its image format, resolved and checked again: they build a detector, no more.

    Raises ValueError where they are missing or ask for anything else.
    """
    try:
        config = OmegaConf.create(content["config"])
        nodes = (config.model, config.data.module.image_format)
        parts = [OmegaConf.to_container(node, resolve=True) for node in nodes]
    except OmegaConfBaseException as error:
        raise ValueError(f"{path} is damaged or no checkpoint of this project ({error})") from error
    for suspect in _suspects(parts, (*DETECTOR, "semigan_pl.data.transforms")):
        raise ValueError(f"{path} asks for {suspect}, which no detector may: do not use this file")
    return tuple(parts)  # type: ignore[return-value]


def _suspects(config: Any, packages: Sequence[str]) -> Iterator[str]:
    """Everything in nested containers that could run code: targets beyond the allow-list, resolvers that compute."""
    if type(config) is dict:
        if "_target_" in config and not _may_be_built(str(config["_target_"]), packages):
            yield str(config["_target_"])
        for key, value in config.items():
            yield from _suspects(key, packages)
            yield from _suspects(value, packages)
    elif type(config) is list:
        for value in config:
            yield from _suspects(value, packages)
    elif type(config) is str:
        yield from (f"${{{name}:" for name in _resolvers(config) if name not in HARMLESS_RESOLVERS)
    elif type(config) not in (int, float, bool, type(None)):
        yield type(config).__name__


def _resolvers(text: str) -> Iterator[str]:
    """Names of the resolvers that a text calls, from the innermost `${...}` outwards: a name may itself be resolved."""
    while match := INNERMOST.search(text):
        name, colon, _ = match[1].partition(":")
        if colon:
            yield name.strip()
        text = f"{text[: match.start()]}?{text[match.end() :]}"
    if "$" in text:  # not taken apart so easily; alone, another interpolation could put it before a brace
        yield text


def _may_be_built(target: str, packages: Sequence[str]) -> bool:
    if target in OPTIMIZERS or target in packages:
        return True
    module_name, _, name = target.rpartition(".")
    if name.startswith("_") or not any(f"{module_name}.".startswith(f"{package}.") for package in packages):
        return False
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except ImportError:
        return False
    if getattr(found, "__module__", None) != module_name:
        return False
    named = module_name.rpartition(".")[2] == name or module_name == "semigan_pl.evaluation.metrics"
    return inspect.isclass(found) or (inspect.isfunction(found) and (named or target in FUNCTIONS))


def _pin(config: dict[str, Any]) -> None:
    """No checkpoint chooses where files are written, or downloads anything."""
    if isinstance(trainer := config.get("trainer"), dict):
        trainer["default_root_dir"] = "${run}"
    loggers = config.get("logger")
    for logger in loggers.values() if isinstance(loggers, dict) else []:
        if isinstance(logger, dict):
            logger["folder"] = "${run}"
    if isinstance(data := config.get("data"), dict):
        _never_download(data)


def _never_download(node: dict[str, Any]) -> None:
    for key, value in node.items():
        if key == "download":
            node[key] = False
        elif isinstance(value, dict):
            _never_download(value)


def check_weights(path: Path, content: dict[str, Any], model: nn.Module) -> None:
    """Raises ValueError unless the weights of a checkpoint are numbers, and this model's by name, kind and shape."""
    own, stored = (
        {name: _kind(value) for name, value in state.items()} for state in (model.state_dict(), content["state_dict"])
    )
    if different := sorted(str(name) for name in own.keys() | stored.keys() if own.get(name) != stored.get(name)):
        raise ValueError(
            f"{path} holds other networks than this model ({len(different)} weights differ, such as {different[0]}):"
            " leave model, network.* and data.image_size and data.channels to the checkpoint"
        )
    for name, value in content["state_dict"].items():
        if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
            raise ValueError(
                f"{path} holds weights that are no numbers ({name}): its training diverged, use another one"
            )


def _kind(value: Any) -> Any:
    """What has to agree: of a tensor its shape, of a dict its keys."""
    return value.shape if isinstance(value, torch.Tensor) else sorted(value) if type(value) is dict else type(value)
