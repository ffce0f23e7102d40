"""What a checkpoint may hold and build: tried as a stranger would."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from semigan_pl.checkpoints import check_weights, detector_parts, read_checkpoint
from tests.conftest import CONF, compose_config


@cache
def in_checkpoint() -> dict[str, Any]:
    """The config as a checkpoint holds it: interpolations unresolved."""
    return OmegaConf.to_container(compose_config(), resolve=False)  # type: ignore[return-value]


def saved(path: Path, config: Any) -> Path:
    """A checkpoint with this config."""
    torch.save({"config": config, "state_dict": {}, "data": {}}, path)
    return path


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_strangers_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"config": Trap(tmp_path / "sprung")}, tmp_path / "trap.ckpt")
    with pytest.raises(ValueError, match=r"trap\.ckpt is damaged or no checkpoint"):
        read_checkpoint(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "pathlib.Path.write_text",
        "torch.hub.load",
        "os.system",
        "run.main",
        "semigan_pl.data.cache.os.system",  # through a module of ours to somebody else's function
        "semigan_pl.data.torchvision_sets.shutil.rmtree",
        "semigan_pl.callbacks.checkpoint.os.replace",
        "semigan_pl.data.cache.Path",
        "semigan_pl.data.nothing.here",
        "torch.optim.optimizer.torch.load",
        "pytorch_lightning.loggers.CSVLogger",
        "${name}",
        "semigan_pl.data.cache._remove_abandoned",  # ours, but not made to be built
        "semigan_pl.data.image_source.existing_folder",
        "semigan_pl.data.cache.unreadable",
        "semigan_pl.loggers.wandb_session.start",
        "semigan_pl.callbacks.checkpoint.save_last",
        "semigan_pl.atomic.write_json",
        "semigan_pl.latent_search.frozen",
        "semigan_pl.checkpoints.read_checkpoint",
    ],
)
def test_a_strangers_config_cannot_build_what_it_likes(target: str, tmp_path: Path) -> None:
    config = copy.deepcopy(in_checkpoint())
    config["callbacks"]["deep"] = {"inside": [{"_target_": target}]}
    saved(tmp_path / "trap.ckpt", config)
    with pytest.raises(ValueError, match=f"asks for {re.escape(target)}, which no checkpoint may"):
        read_checkpoint(tmp_path / "trap.ckpt")


@pytest.mark.parametrize(
    "value",
    [
        "${oc.create:'{_target_: os.system, command: ls}'}",
        "${ oc.decode : x}",
        "${${name}:x}",
        "${oc.env:HOME,${oc.create:x}}",
        "${now:{a: 1}}",
        ({"_target_": "os.system"},),
        {1, 2},
        "$",  # with "{oc.create:...}" behind it, put there by another interpolation
        "a$b",
        {"${oc.create:x}": 1},
    ],
)
def test_a_strangers_config_cannot_compute(value: Any, tmp_path: Path) -> None:
    config = copy.deepcopy(in_checkpoint())
    config["model"]["deep"] = [value]
    saved(tmp_path / "trap.ckpt", config)
    with pytest.raises(
        ValueError, match=r"which no checkpoint may|no checkpoint of this project"
    ):  # torch itself may refuse it
        read_checkpoint(tmp_path / "trap.ckpt")


@pytest.mark.parametrize("config", ["model: {_target_: torch.load}", ["x"], None, 5, torch.zeros(1)], ids=str)
def test_a_config_is_a_dict_and_nothing_that_becomes_one(config: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint of this project"):
        read_checkpoint(saved(tmp_path / "trap.ckpt", config))


@pytest.mark.parametrize(
    "target",
    [
        "semigan_pl.data.folder.folder",
        "semigan_pl.callbacks.checkpoint.PeriodicCheckpoint",
        "pytorch_lightning.Trainer",
    ],
)
def test_a_detector_builds_no_data_set_and_no_trainer(target: str, tmp_path: Path) -> None:
    config = copy.deepcopy(in_checkpoint())
    config["model"]["search"] = {"_target_": target}
    path = saved(tmp_path / "trap.ckpt", config)
    content = read_checkpoint(path)
    with pytest.raises(ValueError, match=f"asks for {re.escape(target)}, which no detector may"):
        detector_parts(path, content)


def test_everything_in_conf_may_be_built(tmp_path: Path) -> None:
    """Each data set, model, loss and logger of ours gets through: the list is short but not too short."""
    for group in ("data", "model", "loss", "search", "trainer", "logger"):
        for choice in sorted((CONF / group).glob("*.yaml")):
            config = OmegaConf.to_container(compose_config(f"{group}={choice.stem}"), resolve=False)
            read_checkpoint(saved(tmp_path / "fine.ckpt", config))


def test_a_checkpoint_chooses_no_folder_and_downloads_nothing(tmp_path: Path) -> None:
    config = copy.deepcopy(in_checkpoint())
    config["trainer"]["default_root_dir"] = "/elsewhere"
    config["logger"]["csv"]["folder"] = "/elsewhere"
    config["data"]["source"] = {"deep": {"download": True}}
    pinned = read_checkpoint(saved(tmp_path / "fine.ckpt", config))["config"]
    assert pinned["trainer"]["default_root_dir"] == "${run}"
    assert pinned["logger"]["csv"]["folder"] == "${run}"
    assert pinned["data"]["source"]["deep"]["download"] is False


def test_weights_have_to_be_this_models_and_numbers(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 3)
    path = tmp_path / "x.ckpt"
    check_weights(path, {"state_dict": model.state_dict()}, model)
    for state in ({}, {**model.state_dict(), "foo": torch.zeros(1)}, {**model.state_dict(), "weight": "x"}):
        with pytest.raises(ValueError, match="holds other networks than this model"):
            check_weights(path, {"state_dict": state}, model)
    broken = {**model.state_dict(), "bias": torch.tensor([1.0, float("nan"), 2.0])}
    with pytest.raises(ValueError, match="holds weights that are no numbers"):
        check_weights(path, {"state_dict": broken}, model)


def test_a_file_that_is_no_checkpoint_gets_a_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ckpt"
    saved(whole, in_checkpoint())
    (tmp_path / "cut.ckpt").write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    for name in ("cut", "empty", "foreign"):
        with pytest.raises(ValueError, match=f"{name}.ckpt is damaged or no checkpoint of this project"):
            read_checkpoint(tmp_path / f"{name}.ckpt")


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    content = {"config": in_checkpoint(), "weights": torch.arange(3.0), "state_dict": {}, "data": {}}
    torch.save(content, tmp_path / "fine.ckpt")
    found = read_checkpoint(tmp_path / "fine.ckpt")
    assert found["config"] == content["config"]
    assert torch.equal(found["weights"], torch.arange(3.0))
