"""The configs: all compose, all name real things, and no number is stated twice."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from semigan_pl.methods.base import AnomalyModule
from tests.conftest import CLASSICAL, CONF, MODELS, build_model, compose_config

FILES = sorted(CONF.rglob("*.yaml"))


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


PAIRS = [(model, loss) for model in MODELS for loss in options("loss")]
PLUGINS = {"optuna": "hydra_plugins.hydra_optuna_sweeper"}  # sweeps that need one
TRIPLES = [(*pair, data) for pair, data in zip(PAIRS, cycle(options("data")), strict=False)]


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every part of a config that names a target."""
    if isinstance(tree, dict):
        if "_target_" in tree:
            yield tree
        tree = list(tree.values())
    for child in tree if isinstance(tree, list) else ():
        yield from nodes(child)


def content(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Every interpolation looked up, and nothing left missing."""
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


TARGETS = sorted({node["_target_"] for path in FILES for node in nodes(content(path))})


def test_every_data_set_meets_every_loss_and_model() -> None:
    assert {data for *_, data in TRIPLES} == set(options("data"))
    assert len(TRIPLES) == len(MODELS) * len(options("loss"))


@pytest.mark.parametrize(("model", "loss", "data"), TRIPLES)
def test_groups_fit_together(model: str, loss: str, data: str) -> None:
    """Composes, resolves, and (but for the data, which is not here) builds."""
    small = ["network_sizes.small.width=4", "data.image_size=16"]
    config = compose_config(f"model={model}", f"loss={loss}", f"data={data}", *small)
    settled = resolved(config)
    assert settled["name"] == settled["data"]["name"] == data
    channels = [node["channels"] for node in nodes(settled["model"]) if "channels" in node]
    assert set(channels) == (set() if model in CLASSICAL else {settled["data"]["channels"]})
    assert settled["model"].get("loss", settled["loss"]) == settled["loss"] == content(CONF / "loss" / f"{loss}.yaml")
    assert isinstance(instantiate(config.model, _convert_="all"), AnomalyModule)


@pytest.mark.parametrize(
    ("group", "option"),
    [(group, option) for group in ("trainer", "search", "callbacks", "logger") for option in options(group)],
)
def test_every_other_option_composes(group: str, option: str) -> None:
    config = compose_config(f"{group}={option}")
    assert set(content(CONF / group / f"{option}.yaml")) - {"defaults"} <= set(resolved(config)[group])


def encodes(model: str) -> bool:
    """Whether a model of these takes an encoding and is also content without one."""
    return model != "fanogan" and getattr(get_object(compose_config(f"model={model}").model._target_), "encodes", False)


@pytest.mark.parametrize("kind", ["ziz", "izi", "izi_f"])
@pytest.mark.parametrize("model", [model for model in MODELS if encodes(model)])
def test_every_model_takes_an_encoder(model: str, kind: str) -> None:
    settled = resolved(compose_config(f"model={model}", f"encoding={kind}", "network.size=medium"))
    assert settled["model"]["encoding"]["kind"] == kind
    assert settled["model"]["encoding"]["encoder"]["latent_dim"] == settled["model"]["generator"]["latent_dim"] == 32
    assert resolved(compose_config(f"model={model}"))["model"]["encoding"] is None


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        (["model=fanogan"], "izi_f"),
        (["model=fanogan", "encoding=ziz"], "ziz"),
        (["encoding=ziz", "model=fanogan"], "ziz"),
        (["+experiment=progressive_digits", "model=fanogan"], "izi_f"),
        (["+experiment=progressive_digits", "model=fanogan", "encoding=izi"], "izi"),
    ],
)
def test_a_model_that_needs_an_encoder_chooses_one_unless_one_is_typed(typed: list[str], kind: str) -> None:
    config = compose_config(*typed)
    assert config.encoding.kind == kind
    assert config.encoder_share == config.encoding.encoder_share == 0.25


@pytest.mark.parametrize(
    "typed",
    [
        ["model.generator.prior=uniform"],
        ["network@model.generator=progressive_generator", "network@model.discriminator=progressive_discriminator"],
    ],
)
def test_a_prior_in_the_search_is_for_normal_latents(typed: list[str]) -> None:
    instantiate(compose_config("search=map", "network_sizes.small.width=4").model, _convert_="all")
    with pytest.raises(InstantiationException, match=r"search\.prior=0\.3 is for latents of a normal prior"):
        instantiate(compose_config("search=map", *typed).model, _convert_="all")


@pytest.mark.parametrize("model", ["wgan", "wgan_gp"])
def test_a_critic_by_name_takes_growing_networks(model: str) -> None:
    networks = [
        "network@model.generator=progressive_generator",
        "network@model.discriminator=progressive_discriminator",
    ]
    assert isinstance(instantiate(compose_config(f"model={model}", *networks).model, _convert_="all"), AnomalyModule)
    assert compose_config(f"model={model}").model.discriminator.normalization == "none"


def test_growing_is_over_where_the_encoder_begins() -> None:
    config = compose_config("+experiment=progressive_digits", "model=fanogan", "max_images=1001", "encoder_share=0.3")
    model = instantiate(config.model, _convert_="all")
    assert instantiate(config.growth, _convert_="all").total_images == model.encoding.begins_at == 701


def test_a_network_is_mounted_by_role() -> None:
    config = compose_config(
        "network@model.generator=dcgan_generator", "network@model.discriminator=dcgan_discriminator"
    )
    assert resolved(config)["model"] == resolved(compose_config())["model"]


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_composes_and_holds_only_differences(name: str) -> None:
    config = resolved(compose_config(f"+experiment={name}"))
    assert config["name"] == name
    assert "sweeper" not in str(content(CONF / "experiment" / f"{name}.yaml"))


@pytest.mark.parametrize("name", options("sweep"))
def test_every_sweep_varies_options_that_exist(name: str) -> None:
    if name in PLUGINS:
        pytest.importorskip(PLUGINS[name])
    compose_config(f"+sweep={name}")
    for option, values in content(CONF / "sweep" / f"{name}.yaml")["hydra"]["sweeper"]["params"].items():
        override = OverridesParser.create().parse_override(f"{option}={values}")
        jobs = ["1"] if override.is_interval_sweep() else list(override.sweep_string_iterator())
        assert override.is_interval_sweep() or len(set(jobs)) > 1
        compose_config(f"{option}={jobs[0]}")  # without a plus: Hydra refuses an option that does not exist


def test_experiments_are_added_and_not_in_the_defaults() -> None:
    """Measured: `experiment: null` in the list makes +experiment=x die with "Multiple values for experiment"."""
    defaults = content(CONF / "config.yaml")["defaults"]
    assert not any("experiment" in entry or "sweep" in entry for entry in defaults)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_real(target: str) -> None:
    assert callable(get_object(target))


@pytest.mark.parametrize(("size", "width", "latent_dim"), [("small", 32, 16), ("medium", 48, 32), ("paper", 64, 100)])
def test_one_word_scales_every_network(size: str, width: int, latent_dim: int) -> None:
    model = resolved(compose_config(f"network.size={size}"))["model"]
    assert (model["generator"]["width"], model["generator"]["latent_dim"]) == (width, latent_dim)
    assert model["discriminator"]["width"] == width


def test_a_medium_network_is_built_and_larger() -> None:
    sizes = {
        size: sum(p.numel() for p in build_model("gan", f"network.size={size}", "data.image_size=16").parameters())
        for size in ("small", "medium")
    }
    assert sizes["medium"] > 5 * sizes["small"]  # the tests' small one is 8 wide


def test_one_seed_reaches_everything() -> None:
    config = resolved(compose_config("seed=7"))
    seeds = [config["data"]["seed"], config["data"]["module"]["protocol"]["seed"], config["model"]["seed"]]
    assert [*seeds, config["search"]["seed"]] == [7] * 4


def own_parameters(target: str) -> dict[str, inspect.Parameter]:
    """Parameters of ours: of a function, or of a class and of the bases to which it hands on its keywords."""
    made = get_object(target)
    if not inspect.isclass(made):
        return dict(inspect.signature(made).parameters)
    found: dict[str, inspect.Parameter] = {}
    for base in (base for base in made.__mro__ if base.__module__.startswith("semigan_pl.")):
        if "__init__" in vars(base):
            parameters = inspect.signature(base).parameters
            found |= {name: parameter for name, parameter in parameters.items() if name not in found}
            if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return found


@pytest.mark.parametrize("target", [target for target in TARGETS if target.startswith("semigan_pl.")])
def test_what_conf_sets_has_no_default_in_python(target: str) -> None:
    parameters = own_parameters(target)
    named = {key for path in FILES for node in nodes(content(path)) if node["_target_"] == target for key in node}
    twice = [name for name in named if name in parameters and parameters[name].default is not inspect.Parameter.empty]
    assert not twice


@pytest.mark.parametrize("target", [target for target in TARGETS if target.startswith("semigan_pl.")])
def test_nothing_of_ours_hides_a_setting_from_conf(target: str) -> None:
    """A parameter with a default that no yaml names is a number that nobody can find."""
    named = {key for path in FILES for node in nodes(content(path)) if node["_target_"] == target for key in node}
    hidden = [
        name
        for name, parameter in own_parameters(target).items()
        if parameter.default is not inspect.Parameter.empty and name not in named
    ]
    assert not hidden
