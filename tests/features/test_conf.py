"""conf/features: every option composes, stands under a model, and builds what it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from semigan_pl.features.base import Features
from semigan_pl.networks.progressive import ProgressiveDiscriminator
from tests.conftest import CONF, compose_config

OPTIONS = sorted(path.stem for path in (CONF / "features").glob("*.yaml"))
WIDTHS = {
    "pixels": 256,
    "pca": 256,
    "vgg16": 4096,
    "resnet18": 512,
    "resnet50": 2048,
    "wide_resnet50_2": 2048,
    "efficientnet_b0": 1280,
    "mobilenet_v3_small": 576,
    "vit_b_16": 768,
    "discriminator": 128,
}
SMALL = ["data.image_size=16", "network_sizes.small.width=4"]


def settled(*overrides: str) -> dict[str, Any]:
    config = compose_config(*SMALL, *overrides)
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def test_every_option_is_known_here() -> None:
    assert set(OPTIONS) == WIDTHS.keys() | {"none", "backbone"}


def test_none_is_nothing() -> None:
    assert settled("features=none")["features"] is None


@pytest.mark.parametrize("option", WIDTHS)
def test_an_option_builds_what_it_names(option: str) -> None:
    """On the meta device, where weights are shapes alone and a VGG-16 is built at once."""
    node = settled("model=cop", f"features={option}")
    assert node["model"]["features"] == node["features"]
    with torch.device("meta"):
        features = instantiate(node["features"])
    assert isinstance(features, Features)
    assert features.components == (64 if option == "pca" else None)
    assert features.costly == (node["features"]["_target_"] == "semigan_pl.features.backbone.Backbone")
    assert features._extract(torch.zeros(2, 1, 16, 16, device="meta")).shape == (2, WIDTHS[option])


def test_any_backbone_by_name() -> None:
    typed = [
        "features.name=squeezenet1_1",
        "features.layer=features",
        "features.weights=random",
        "features.input_size=40",
    ]
    features = instantiate(compose_config("features=backbone", *typed).features)
    assert features(torch.zeros(1, 1, 16, 16)).shape == (1, 512)
    assert features(torch.ones(1, 1, 16, 16)).isfinite().all()


def test_components_may_be_had_of_all_features() -> None:
    assert settled("model=cop", "features=resnet18", "features.components=32")["model"]["features"]["components"] == 32


def test_a_discriminator_is_mounted_by_role() -> None:
    typed = ["features=discriminator", "network@features.network=progressive_discriminator"]
    node = settled("model=cop", *typed)["model"]["features"]["network"]
    assert node["_target_"] == "semigan_pl.networks.progressive.ProgressiveDiscriminator"
    assert node["image_size"] == 16
    features = instantiate(compose_config(*SMALL, *typed).features)
    assert isinstance(features.network, ProgressiveDiscriminator)
    wide = settled("features=discriminator", "features.network.width=6", "network.size=paper")["features"]
    assert wide["network"]["width"] == 6
