"""model.gan_checkpoint: an encoder for a GAN that was trained earlier, and a sentence for every file that is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from semigan_pl import load_detector
from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.tasks.earlier import differences
from semigan_pl.tasks.fit import build
from tests.commands import SMALL, Run, call, scores
from tests.conftest import compose_config

TYPED = [*SMALL, "data.known_classes=[0,1,2]", "max_images=320"]
NETWORKS = ("generator.", "ema_generator.", "discriminator.")


@pytest.fixture
def gan(finished: tuple[Path, Run], tmp_path: Path) -> Path:
    """The networks of a small run of the main job, a copy of its own."""
    return Path(shutil.copy(finished[0] / "checkpoints" / "last.ckpt", tmp_path / "gan.ckpt"))


def test_the_networks_are_taken_and_stay_and_the_file_is_needed_once(gan: Path, tmp_path: Path) -> None:
    earlier = torch.load(gan, weights_only=True)["state_dict"]
    typed = ["model=fanogan", "model.gan_checkpoint=gan.ckpt", "encoding=izi_f", "run=here", *TYPED]
    result = call(tmp_path, *typed)
    assert result.returncode == 0, result.stderr
    last = tmp_path / "here" / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    for name, value in earlier.items():
        if name.startswith(NETWORKS):
            assert torch.equal(value, content["state_dict"][name]), name
    assert content["state_dict"]["_extra_state"]["averaged"] is True
    assert [len(optimizer["state"]) > 0 for optimizer in content["optimizer_states"]] == [False, False, True]
    header = (tmp_path / "here" / "metrics.csv").read_text().splitlines()[0]
    assert header.startswith("images_seen,train/e_residual,train/e_discrimination,train/e_gradient")
    gan.unlink()
    assert load_detector(last).score_name == "fanogan"
    before = scores(tmp_path / "here")["encoding"]
    result = call(tmp_path, "run=here", "checkpoint=last", "max_images=640")
    assert result.returncode == 0, result.stderr
    assert not (before == scores(tmp_path / "here")["encoding"]).all()


def test_without_an_average_the_generator_itself_is_inverted(gan: Path, tmp_path: Path) -> None:
    content = torch.load(gan, weights_only=True)
    content["state_dict"]["_extra_state"]["averaged"] = False
    torch.save(content, gan)
    typed = ["model=anogan", "encoding=izi", f"model.gan_checkpoint={gan}", f"run={tmp_path}/here"]
    model = build(compose_config(*TYPED, *typed)).model
    assert isinstance(model, AdversarialModule)
    assert model.encodes_at(0)
    assert model.best_generator is model.generator
    for name, value in model.generator.state_dict().items():
        assert isinstance(value, Tensor)
        assert torch.equal(value, content["state_dict"][f"generator.{name}"])


GROWN = ["network@model.generator=progressive_generator", "network@model.discriminator=progressive_discriminator"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            ["model.gan_checkpoint=nowhere.ckpt"],
            "there is no checkpoint nowhere.ckpt: correct model.gan_checkpoint=PATH",
        ),
        (["model.gan_checkpoint=damaged.ckpt"], "damaged.ckpt is damaged or no checkpoint of this project"),
        (["encoding=none", "model=anogan"], "model.gan_checkpoint is for training an encoder: add encoding=izi_f"),
        (["network.size=medium"], "gan.ckpt holds other networks than this run: add network.size=small"),
        (["data.image_size=32"], "gan.ckpt holds other networks than this run: add data.image_size=16"),
        (["network_sizes.small.width=16"], "add model.generator.width=8 model.discriminator.width=8"),
        (
            ["model.generator.prior=uniform"],
            "gan.ckpt holds other networks than this run: add model.generator.prior=normal",
        ),
        (GROWN, "add network@model.generator=dcgan_generator network@model.discriminator=dcgan_discriminator"),
        (["seed=1"], "test images are among those that the checkpoint was trained on"),
        (["+experiment=progressive_digits", "model=fanogan"], "add network@model.generator=dcgan_generator"),
    ],
)
def test_what_is_no_gan_for_this_run(gan: Path, typed: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "damaged.ckpt").write_bytes(gan.read_bytes()[:5000])
    result = call(tmp_path, "model=fanogan", "model.gan_checkpoint=gan.ckpt", *TYPED, "run=here", *typed)
    assert result.returncode != 0
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "here").exists()


def test_weights_that_are_no_numbers_are_not_taken(gan: Path, tmp_path: Path) -> None:
    content = torch.load(gan, weights_only=True)
    content["state_dict"]["generator.project.weight"][0, 0] = float("nan")
    torch.save(content, gan)
    result = call(tmp_path, "model=fanogan", "model.gan_checkpoint=gan.ckpt", *TYPED, "run=here")
    assert "weights that are no numbers (generator.project.weight)" in result.stderr


def test_what_has_grown_does_not_grow_again(tmp_path: Path) -> None:
    typed = ["+experiment=progressive_digits", *SMALL, "network_sizes.small.fmap_max=8", "callbacks.rehearsal.steps=0"]
    result = call(tmp_path, *typed, "max_images=160", "run=gan", "trainer.log_every_n_steps=1")
    assert result.returncode == 0, result.stderr
    again = [*typed, "model=fanogan", "model.gan_checkpoint=gan/checkpoints/last.ckpt", "max_images=160", "run=here"]
    result = call(tmp_path, *again)
    assert "model.gan_checkpoint brings networks that have grown: add growth=none" in result.stderr
    result = call(tmp_path, *again, "growth=none", "run=there")
    assert result.returncode == 0, result.stderr


def test_differences_are_options_to_type() -> None:
    here = compose_config("model=fanogan")
    assert list(differences(here, compose_config("model=semigan", "loss=hinge", "search=quick"))) == []
    assert list(differences(here, compose_config("model=gan", "network.size=paper", "data.channels=3"))) == [
        "network.size=paper",
        "data.channels=3",
    ]
