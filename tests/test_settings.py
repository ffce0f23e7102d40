"""The config that a run really uses: what a checkpoint brings and what is typed on top."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from semigan_pl.settings import check_weights, checkpoint_path, continued, detector_parts, inherit, read_checkpoint
from tests.conftest import CONF, compose_config


@cache
def composed(*overrides: str) -> DictConfig:
    return compose_config(*overrides)


@cache
def in_checkpoint(*overrides: str) -> dict[str, Any]:
    """The config as a checkpoint holds it: interpolations unresolved."""
    return OmegaConf.to_container(composed(*overrides), resolve=False)  # type: ignore[return-value]


def test_no_checkpoint_is_no_path() -> None:
    assert checkpoint_path(OmegaConf.create({"run": "x", "checkpoint": None})) is None


def test_last_is_that_of_the_own_folder(tmp_path: Path) -> None:
    config = OmegaConf.create({"run": str(tmp_path), "checkpoint": "last"})
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt.*run=FOLDER"):
        checkpoint_path(config)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert checkpoint_path(config) == tmp_path / "checkpoints" / "last.ckpt"


def test_any_other_word_is_a_file(tmp_path: Path) -> None:
    config = OmegaConf.create({"run": "elsewhere", "checkpoint": str(tmp_path / "x.ckpt")})
    with pytest.raises(FileNotFoundError, match=r"x\.ckpt.*checkpoint=PATH"):
        checkpoint_path(config)
    (tmp_path / "x.ckpt").touch()
    assert checkpoint_path(config) == tmp_path / "x.ckpt"


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
        "semigan_pl.settings.read_checkpoint",
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
    with pytest.raises(ValueError, match="which no checkpoint may: do not use this file"):
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


def test_nothing_typed_is_the_checkpoints_config() -> None:
    earlier = in_checkpoint("model.gamma=0.3", "data.image_size=32", "seed=5")
    settled = inherit(composed("run=here", "checkpoint=x.ckpt"), earlier, ["run=here", "checkpoint=x.ckpt"])
    found = OmegaConf.to_container(settled, resolve=False)
    assert found == {**earlier, "run": "here", "checkpoint": "x.ckpt", "task": "fit"}


def test_values_typed_on_top_win_and_the_rest_stays() -> None:
    typed = ["model.gamma=0.7", "max_images=99"]
    settled = inherit(composed(*typed), in_checkpoint("model.gamma=0.3", "model.critic_steps=5"), typed)
    assert (settled.model.gamma, settled.max_images, settled.model.critic_steps) == (0.7, 99, 5)


def test_a_group_typed_on_top_is_replaced_not_mixed() -> None:
    """Merged, the learning rates of search=paper would keep the steps at 0.5 and 0.8 of search=default."""
    settled = inherit(composed("search=paper", "search.steps=7"), in_checkpoint(), ["search=paper", "search.steps=7"])
    assert dict(settled.search.learning_rates) == {0: 0.01, 0.4: 0.001, 0.6: 0.0005}
    assert settled.search.starts == 8  # composed for the tests
    assert settled.model.search.steps == settled.search.steps == 7


def test_a_group_of_another_shape_leaves_nothing_behind() -> None:
    settled = inherit(composed("data=caltech256"), in_checkpoint("data=mnist"), ["data=caltech256"])
    assert settled.data == composed("data=caltech256").data
    assert "dataset" not in settled.data.source


def test_interpolations_are_resolved_where_they_go() -> None:
    """data.seed follows the seed of the run that it lands in."""
    typed = ["data=mnist", "network_sizes.small.width=${data.image_size}"]
    settled = inherit(composed(*typed), in_checkpoint("seed=5", "data.image_size=16"), typed)
    assert settled.data.seed == 5
    assert settled.network_sizes.small.width == 32
    assert settled.model.generator.width == 32
    assert OmegaConf.is_interpolation(settled.data, "seed")


@pytest.mark.parametrize("typed", ["+note=7", "++note=7"])
def test_an_option_may_be_added(typed: str) -> None:
    assert inherit(composed(typed), in_checkpoint(), [typed]).note == 7


@pytest.mark.parametrize("value", ["[1,2]", "[]", "null"])
def test_lists_and_nothing_are_values_too(value: str) -> None:
    typed = [f"data.normal_classes={value}"]
    settled = inherit(composed(*typed), in_checkpoint(), typed)
    assert settled.data.normal_classes == {"[1,2]": [1, 2], "[]": [], "null": None}[value]


def test_an_option_may_be_taken_away() -> None:
    settled = inherit(composed("~logger.csv"), in_checkpoint(), ["~logger.csv"])
    assert dict(settled.logger) == {}


@pytest.mark.parametrize(
    "override", ["+experiment=mnist", "experiment=mnist", "+sweep=gamma", "network@model.generator=dcgan_generator"]
)
def test_what_would_rearrange_the_config_is_refused(override: str) -> None:
    with pytest.raises(ValueError, match="cannot be combined with checkpoint=") as error:
        inherit(composed(), in_checkpoint(), [override])
    assert str(error.value).startswith(override)


def test_a_value_with_an_at_sign_is_only_a_value() -> None:
    typed = ["data.root=user@host=1"]
    config = composed("data.root='user@host=1'")
    assert inherit(config, in_checkpoint(), typed).data.root == "user@host=1"


def test_what_was_typed_over_all_sessions() -> None:
    earlier = ["model.gamma=0.3", "max_images=640"]
    since = ["run=here", "checkpoint=last", "task=fit", "max_images=1280"]
    assert continued(earlier, since) == ["model.gamma=0.3", "max_images=1280"]
    assert continued(iter(earlier), []) == earlier
