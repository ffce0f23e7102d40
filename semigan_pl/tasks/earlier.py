"""What a run takes from earlier ones: where it goes on from a checkpoint, or trains an encoder for an earlier GAN."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch import nn

from semigan_pl.checkpoints import check_weights, read_checkpoint

NETWORKS = ("generator", "ema_generator", "discriminator")
SHAPING = ("network.size", "data.image_size", "data.channels")  # options that every network goes by


def check_continuable(path: Path, model: Any, data: Any) -> None:
    """Raises ValueError if the checkpoint is of other networks, or was trained or calibrated on test images."""
    content = read_checkpoint(path)
    check_weights(path, content, model)
    check_unseen(content, data)


def check_unseen(content: dict[str, Any], data: Any) -> None:
    """Raises ValueError if a checkpoint was trained or calibrated on images that are tested here.

    Otherwise the data remember what it has seen: who takes over its weights, and whoever takes over theirs, has too.
    """
    earlier = content["data"]
    if earlier["name"] != data.source.name:
        return
    data.seen_before = np.union1d(data.seen_before, earlier["used"])
    shared = np.isin(data.splits.test, earlier["used"]).sum()
    if shared:
        raise ValueError(
            f"{shared} test images are among those that the checkpoint was trained on: keep its seed and its data.*"
            " options (data.root, data.test_limit and data.outlier_share may change)"
        )


def take_gan(path: Path, config: DictConfig, model: Any, data: Any) -> None:
    """Gives `model` the generator, its average and the discriminator of a checkpoint (model.gan_checkpoint).

    Raises FileNotFoundError where it is not there, ValueError where it is damaged, of other networks, or was trained
    on images that are tested here.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: correct model.gan_checkpoint=PATH")
    content = read_checkpoint(path)
    earlier = OmegaConf.create(content["config"])
    if to_type := list(differences(config, earlier)):
        raise ValueError(f"{path} holds other networks than this run: add {' '.join(to_type)}")
    check_unseen(content, data)
    of_gan = tuple(f"{name}." for name in NETWORKS)
    weights = {name: value for name, value in content["state_dict"].items() if str(name).startswith(of_gan)}
    networks = nn.ModuleDict({name: getattr(model, name) for name in NETWORKS})
    check_weights(path, {"state_dict": weights}, networks)
    networks.load_state_dict(weights)
    model.averaged = bool(content["state_dict"]["_extra_state"]["averaged"])


def differences(config: DictConfig, earlier: Any) -> Iterator[str]:
    """What to type to get the generator and the discriminator of an earlier config; nothing where they are the same."""
    pairs = {role: [_settings(each, role) for each in (config, earlier)] for role in ("generator", "discriminator")}
    if any(before is None for _, before in pairs.values()):
        return  # no GAN: it has no such weights either
    unlike = {
        role: [key for key in own if before.get(key, own[key]) != own[key]] for role, (own, before) in pairs.items()
    }
    if not any(unlike.values()):
        return
    options = [option for option in SHAPING if OmegaConf.select(config, option) != OmegaConf.select(earlier, option)]
    yield from (f"{option}={OmegaConf.select(earlier, option)}" for option in options)
    for role, keys in unlike.items():
        before = pairs[role][1]
        if "_target_" in keys:
            yield f"network@model.{role}={_file_name(before['_target_'])}"
        elif not options:
            yield from (f"model.{role}.{key}={before[key]}" for key in keys)


def _settings(config: Any, role: str) -> Any:
    node = OmegaConf.select(config, f"model.{role}")
    return None if node is None else OmegaConf.to_container(node, resolve=True)


def _file_name(target: str) -> str:
    """conf/network/<name>.yaml of a class: semigan_pl.networks.dcgan.DCGANGenerator -> dcgan_generator."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", target.rpartition(".")[2]).lower()
