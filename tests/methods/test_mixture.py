"""Known anomalies are mixed in alike in every adversarial method: on five bins each reaches the same optimum."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.methods.adversarial import AdversarialModule
from semigan_pl.types import Batch
from tests.conftest import MODELS, build_model, compose_config

ADVERSARIAL = [name for name in MODELS if "gamma" in compose_config(f"model={name}").model]
GAMMA = 0.7
# images in each of five bins: unlabelled (a tenth of them anomalies), generated (as the normal ones are), known
UNLABELLED, GENERATED, KNOWN = [36, 27, 19, 12, 6], [40, 30, 20, 10, 0], [0, 0, 10, 30, 60]
OPTIMAL_LOGITS = [0.251314, 0.251314, 0.111226, -0.287682, -1.098612]  # log p_d / p_N
VALUE = 1.342704  # of the discriminator's loss there


def in_bins(counts: list[int]) -> Tensor:
    """So many images of 2 x 2 px in each bin; a bin is a grey level."""
    levels = torch.arange(5.0).repeat_interleave(torch.tensor(counts))
    return (levels / 2 - 1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


class Table(nn.Module):
    """A discriminator that has one logit per bin, and looks at images alone."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def pair(self, images: Tensor, z: Tensor) -> Tensor:
        return images

    def features(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(((images.mean((1, 2, 3)) + 1) * 2).round().long(), 5).float()

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images) @ self.logits


class Fixed(nn.Module):
    """A generator that always shows the same images, or an encoder that always says the same."""

    def __init__(self, shown: Tensor) -> None:
        super().__init__()
        self.shown = nn.Parameter(shown)

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        return torch.zeros(n, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.shown[: len(inputs)]


def game(name: str, gamma: float, logits: list[float]) -> tuple[AdversarialModule, Table]:
    model = build_model(name, f"model.gamma={gamma}", "loss=nonsaturating")
    assert isinstance(model, AdversarialModule)
    table = model.discriminator = Table(logits)
    model.generator = Fixed(in_bins(GENERATED))
    if "encoder" in model.opponents:
        model.encoder = Fixed(torch.zeros(200, 1))
    return model, table


def batch(known: list[int]) -> Batch:
    images = torch.cat([in_bins(UNLABELLED), in_bins(known)])
    return Batch(images, (torch.arange(len(images)) >= 100).long(), torch.arange(len(images)))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_best_discriminator_is_that_of_the_mixture(name: str) -> None:
    model, table = game(name, GAMMA, OPTIMAL_LOGITS)
    loss = sum(model.discriminator_terms(batch(KNOWN)).values())
    assert isinstance(loss, Tensor)
    assert loss.item() == pytest.approx(VALUE, abs=1e-5)
    loss.backward()
    assert table.logits.grad is not None
    assert table.logits.grad.abs().max() < 1e-5


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_away_from_it_the_gradient_leads_back(name: str) -> None:
    model, table = game(name, GAMMA, [0.0] * 5)
    optimizer: Any = torch.optim.Adam(table.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        sum(model.discriminator_terms(batch(KNOWN)).values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    torch.testing.assert_close(table.logits.detach(), torch.tensor(OPTIMAL_LOGITS), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_at_gamma_one_known_anomalies_change_nothing(name: str) -> None:
    gradients = []
    for known in (KNOWN, [60, 30, 10, 0, 0]):
        model, table = game(name, 1.0, [0.1, 0.2, 0.3, 0.4, 0.5])
        sum(model.discriminator_terms(batch(known)).values()).backward()  # type: ignore[union-attr]
        assert table.logits.grad is not None
        gradients.append(table.logits.grad)
    assert torch.equal(*gradients)
