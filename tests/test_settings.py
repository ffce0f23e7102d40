"""The config that a run really uses: what a checkpoint brings and what is typed on top."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from semigan_pl.settings import checkpoint_path, continued, inherit
from tests.conftest import compose_config


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
    assert dict(settled.search.descent.learning_rates) == {0: 0.01, 0.4: 0.001, 0.6: 0.0005}
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
