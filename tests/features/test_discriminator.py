"""Features of a GAN's discriminator: its own activations, and nothing taken from the wrong checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from semigan_pl.features.discriminator import Discriminator
from tests.conftest import compose_config

IMAGES = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
SMALL = ["network_sizes.small.width=8", "network_sizes.small.latent_dim=6", "data.image_size=16"]
GROWING = ["network@model.generator=progressive_generator", "network@model.discriminator=progressive_discriminator"]


def nothing(content: dict[str, Any]) -> None:
    """No image was seen before."""


def checkpoint(folder: Path, *overrides: str) -> tuple[Path, Any]:
    """What a run leaves, as far as features read it, and its model."""
    config = compose_config(*SMALL, *overrides)
    torch.manual_seed(1)
    model = instantiate(config.model, _convert_="all")
    for buffer in model.buffers():  # as a training would have left them
        if buffer.is_floating_point():
            buffer.add_(0.1)
    content = {
        "config": OmegaConf.to_container(config, resolve=False),
        "state_dict": model.state_dict(),
        "data": {"name": "digits", "used": torch.arange(3)},
    }
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt", model.eval().to(memory_format=torch.contiguous_format)  # as features look at images


def build(path: Path | None, *overrides: str) -> Discriminator:
    typed = [] if path is None else [f"features.checkpoint={path}"]
    config = compose_config("features=discriminator", *SMALL, *typed, *overrides)
    torch.manual_seed(2)
    features = instantiate(config.features, _convert_="all")
    assert isinstance(features, Discriminator)
    return features


KINDS = {
    "semigan": ([], []),
    "wgan": (["model=wgan"], ["network@features.network=dcgan_critic"]),
    "growing": (GROWING, ["network@features.network=progressive_discriminator"]),
    "ganomaly": (["model=ganomaly"], ["network@features.network=bowtie_discriminator"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_the_trained_discriminator(tmp_path: Path, kind: str) -> None:
    trained, typed = KINDS[kind]
    path, model = checkpoint(tmp_path, *trained)
    features = build(path, *typed)
    features.fetch(nothing)
    with torch.no_grad():
        expected = model.discriminator.features(IMAGES)
    assert torch.equal(features(IMAGES), expected)
    assert expected.std() > 0
    assert torch.equal(features.train()(IMAGES), expected)  # no power iteration, no batch statistic
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(features(IMAGES[order]), expected[order])


def test_they_travel_on_in_the_state_dict_without_the_checkpoint(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path)
    features = build(path)
    unfetched = features.fingerprint()
    with pytest.raises(RuntimeError, match="Discriminator features have no weights yet"):
        features(IMAGES)
    features.fetch(nothing)
    path.unlink()
    rebuilt = build(path)
    rebuilt.load_state_dict(features.state_dict())
    assert torch.equal(rebuilt(IMAGES), features(IMAGES))
    assert rebuilt.fingerprint() == features.fingerprint() != unfetched


def test_another_discriminator_is_refused_with_what_to_type(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path, "data.image_size=32", "data.channels=3", "network_sizes.small.width=12")
    features = build(path)
    with pytest.raises(ValueError, match=r"holds another discriminator than features\.network: type") as raised:
        features.fetch(nothing)
    typed = str(raised.value).split(": type ")[1].split()
    assert set(typed) > {"data.image_size=32", "data.channels=3", "features.network.width=12"}
    assert not features.ready
    build(path, *typed).fetch(nothing)  # what is said there works


@pytest.mark.parametrize("kind", ["wgan", "growing", "ganomaly"])
def test_what_is_said_of_another_kind_works_too(tmp_path: Path, kind: str) -> None:
    path, model = checkpoint(tmp_path, *KINDS[kind][0])
    with pytest.raises(ValueError, match=r"holds another discriminator than features\.network: type") as raised:
        build(path).fetch(nothing)
    features = build(path, *str(raised.value).split(": type ")[1].split())
    features.fetch(nothing)
    with torch.no_grad():
        assert torch.equal(features(IMAGES), model.discriminator.features(IMAGES))


def test_a_checkpoint_has_to_hold_a_discriminator_of_images(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path, "model=vae")
    with pytest.raises(ValueError, match=r"last\.ckpt holds no discriminator: give features\.checkpoint=PATH of a run"):
        build(path).fetch(nothing)
    path, _ = checkpoint(tmp_path, "model=egbad")
    with pytest.raises(ValueError, match="it judges pairs of images and latents, so give the checkpoint of another"):
        build(path).fetch(nothing)


def test_a_checkpoint_has_to_be_named_and_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"features=discriminator needs features\.checkpoint=PATH"):
        build(None).fetch(nothing)
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*: correct features\.checkpoint=PATH"):
        build(tmp_path / "nowhere.ckpt").fetch(nothing)
    (tmp_path / "text.ckpt").write_text("none")
    with pytest.raises(ValueError, match=r"text\.ckpt is damaged or no checkpoint of this project"):
        build(tmp_path / "text.ckpt").fetch(nothing)


def test_a_gan_that_saw_what_is_tested_is_refused(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path)
    features = build(path)

    def seen(content: dict[str, Any]) -> None:
        assert content["data"]["used"].tolist() == [0, 1, 2]
        raise ValueError("3 test images are among those")

    with pytest.raises(ValueError, match="3 test images are among those"):
        features.fetch(seen)
    assert not features.ready


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path, _ = checkpoint(tmp_path)
    content = torch.load(path, weights_only=True)
    content["state_dict"]["discriminator.head.bias"].fill_(torch.nan)
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"holds weights that are no numbers \(head\.bias\): its training diverged"):
        build(path).fetch(nothing)


def test_a_network_without_features_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features\.network=Linear has no features of images"):
        Discriminator(torch.nn.Linear(2, 2), None, None)
