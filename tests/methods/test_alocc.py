"""ALOCC: noise, losses and scores by hand, and a training that ends by what validation says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from semigan_pl.latent_search import frozen
from semigan_pl.losses.distances import residual
from semigan_pl.methods.alocc import ALOCC
from semigan_pl.tasks.fit import Parts, build, plain
from semigan_pl.tasks.processes import STRATEGY, run_in_processes, settle_devices
from semigan_pl.types import Batch
from tests.commands import SMALL
from tests.conftest import build_model, compose_config
from tests.methods.test_contract import IMAGES, train

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def alocc(*overrides: str) -> Any:
    model = build_model("alocc", *overrides)
    assert isinstance(model, ALOCC)
    return model


def attached(model: Any) -> Any:
    """With a trainer, of which noise wants to know how many processes there are."""
    train(model, 1)
    return model


def test_noise_has_its_share_of_the_range() -> None:
    """.155 of the range from -1 to 1, around the image."""
    model = attached(alocc())
    model.noise = torch.Generator().manual_seed(0)
    noise = model.generator_inputs(torch.full((100, 1, 16, 16), 0.7)) - 0.7
    assert noise.std().item() == pytest.approx(0.31, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert (noise + 0.7).max() > 1  # not clipped
    assert torch.equal(attached(alocc("model.sigma=0")).generator_inputs(IMAGES), IMAGES)


def test_the_error_is_to_the_clean_image() -> None:
    """An R that returns what it is shown pays for the noise: lambda (2 sigma)^2. Known anomalies are left out."""
    model = attached(alocc("model.sigma=0.2", "model.lambda_=0.5"))
    model.generator = nn.Identity()
    images = torch.cat([torch.zeros(200, 1, 16, 16), torch.full((4, 1, 16, 16), torch.nan)])
    terms = model.generator_terms(Batch(images, torch.tensor([0] * 200 + [1] * 4), torch.arange(204)))
    assert terms["g_reconstruction"].item() == pytest.approx(0.5 * 0.4**2, rel=0.02)
    assert terms.keys() == {"g_adversarial", "g_reconstruction"}
    model.generator = Still()
    terms = model.generator_terms(Batch(images[:200] + 0.5, torch.zeros(200), torch.arange(200)))
    assert terms["g_reconstruction"].item() == 0.5 * 0.5**2
    logits = model.discriminator(torch.zeros(200, 1, 16, 16))
    torch.testing.assert_close(terms["g_adversarial"], model.loss.generator(logits).mean())


class Still(nn.Module):
    """Answers grey, whatever it is shown."""

    def forward(self, images: Tensor) -> Tensor:
        return 0 * images.nan_to_num()


def test_answers_in_closed_form_and_without_noise() -> None:
    model = alocc()
    train(model, 2)
    found = model.predict(IMAGES[:64])
    model.eval()
    with torch.no_grad():
        redrawn = model.ema_generator(IMAGES[:64])
        refined, critic = -model.discriminator(redrawn), -model.discriminator(IMAGES[:64])
    expected = {"refined": refined, "critic": critic, "residual": residual(IMAGES[:64], redrawn)}
    assert list(found.terms) == list(expected)
    for name, values in expected.items():
        torch.testing.assert_close(found.terms[name], values)
    assert torch.equal(found.score, found.terms["refined"])
    torch.testing.assert_close(found.anomaly_map, (IMAGES[:64] - redrawn).abs())
    torch.testing.assert_close(found.reconstruction, redrawn)
    paper = 1 - torch.sigmoid(-refined.double())  # 1 - D(R(x)): the same order
    assert (paper[refined.argsort()].diff() >= 0).all()


def test_steps_of_the_generator() -> None:
    assert alocc("model.g_steps=3").turn() == ("discriminator", *["generator"] * 3)
    model = alocc("model.g_steps=2", "model.critic_steps=2")
    assert model.turn() == ("discriminator",)
    model.batches_seen = 1
    assert model.turn() == ("discriminator", "generator", "generator")
    noise = []
    model.generator.register_forward_pre_hook(lambda module, inputs: noise.append(inputs[0]))
    train(model, 1)
    assert len(noise) == 3
    assert not any(torch.equal(one, other) for one, other in pairwise(noise))


def parts_of(folder: Path, *overrides: str) -> Parts:
    typed = ["model=alocc", "max_images=320", "model.rho_every=100", f"run={folder}", *overrides]
    return build(compose_config(*SMALL[1:], *typed, "trainer.log_every_n_steps=1", "callbacks.health.checks=0"))


def fitted(parts: Parts, checkpoint: Path | None = None) -> Any:
    parts.trainer.fit(parts.model, datamodule=parts.data, ckpt_path=checkpoint)
    return parts.model


def test_validation_error_in_closed_form(tmp_path: Path) -> None:
    """Of the averaged generator in eval mode, of unlabelled images only, noisy as in training."""
    parts = parts_of(tmp_path, "max_images=64")
    model = fitted(parts)
    images = torch.cat([batch.images[batch.labels == 0] for batch in parts.data.val_dataloader()])
    assert 10 < len(images) <= 64
    noise = 0.31 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with frozen(model):
        expected = (images - model.ema_generator(images + noise)).square().mean()
    assert model.validation_error() == pytest.approx(expected.item(), rel=1e-5)
    assert model.validation_error() == model.validation_error()


def test_a_training_ends_below_rho_and_stays_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted(parts_of(tmp_path, "model.rho=1e6"))
    assert model.images_seen == 128  # the first batch of 32 behind 100
    assert "Ended after 128 images: L_R is" in capsys.readouterr().out
    last = tmp_path / "checkpoints" / "last.ckpt"
    before = {name: value.clone() for name, value in model.named_parameters()}
    again = fitted(parts_of(tmp_path / "again", "model.rho=1e-6"), last)
    assert again.ended
    assert again.images_seen == 128
    assert all(torch.equal(value, before[name]) for name, value in again.named_parameters())
    assert fitted(parts_of(tmp_path / "on", "model.rho=null"), last).images_seen == 320  # rho was taken away


def test_a_training_above_rho_goes_on_to_its_end_and_is_not_changed_by_looking(tmp_path: Path) -> None:
    looked, never = (fitted(parts_of(tmp_path / rho, f"model.rho={rho}")) for rho in ("1e-6", "null"))
    assert looked.images_seen == never.images_seen == 320
    assert not looked.ended
    for name, value in looked.state_dict().items():
        assert not isinstance(value, Tensor) or torch.equal(value, never.state_dict()[name]), name


def end_and_keep(config: dict[str, Any]) -> None:
    """Trains one of several processes, and writes down where it ended and what it measured."""
    parts = build(OmegaConf.create(config))  # type: ignore[arg-type]
    model = fitted(parts)
    kept = {"images_seen": model.images_seen, "error": model.validation_error()}
    torch.save(kept, Path(config["run"]) / f"rank{parts.trainer.global_rank}.pt")


def test_all_processes_end_together(tmp_path: Path) -> None:
    typed = ["model=alocc", "model.rho=1e6", "model.rho_every=100", "max_images=320", "trainer=ddp", f"run={tmp_path}"]
    config = compose_config(*SMALL[2:], *typed)
    settle_devices(config)
    assert config.trainer.strategy == STRATEGY
    run_in_processes(end_and_keep, plain(config), 2)
    one, other = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one == other
    assert one["images_seen"] == 128


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model.lambda_=-1", r"model\.lambda_=-1 must be"),
        ("model.sigma=-0.1", r"model\.sigma=-0\.1 must be"),
        ("model.g_steps=0", r"model\.g_steps=0 must be a whole number, 1 or more"),
        ("model.rho=0", r"model\.rho=0 must be a finite number, above 0"),
        ("model.rho_every=0", r"model\.rho_every=0 must be a whole number, 1 or more"),
    ],
)
def test_what_is_refused(typed: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        alocc(typed)


def test_validation_may_end_in_known_anomalies_alone() -> None:
    """A block without unlabelled images counts for nothing; an image's noise is its own, in whatever block it is."""
    model = alocc("block_size=4")
    images = IMAGES[:8]

    def error(*parts: list[int]) -> float:
        batches = [Batch(images[part], torch.tensor([int(i >= 6) for i in part]), torch.tensor(part)) for part in parts]
        trainer: Any = SimpleNamespace(datamodule=SimpleNamespace(val_dataloader=lambda: batches), world_size=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "trainer", trainer)
            return model.validation_error()

    assert error([0, 1, 2, 3], [4, 5, 6], [7]) == pytest.approx(error([2, 4], [0, 1, 5], [3]), rel=1e-6)
