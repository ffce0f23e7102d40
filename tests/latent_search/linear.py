"""A generator whose best reconstruction is known in closed form, and a search in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semigan_pl.latent_search import LatentSearch, SearchResult, frozen
from semigan_pl.latent_search.descent import Adam

RATES = {0: 0.05, 0.6: 0.005, 0.85: 0.0005}


class LinearGenerator(nn.Module):
    """G(z) = W z with orthonormal columns, images 1 x 1 x D."""

    def __init__(self, dimension: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        basis, _ = torch.linalg.qr(torch.randn(dimension, latent_dim, generator=torch.Generator().manual_seed(0)))
        self.basis = nn.Parameter(basis)

    def sample_latents(self, n: int, noise: torch.Generator) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=noise)

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.basis.T)[:, None, None]


class Pixels(nn.Module):
    """A discriminator whose features are the pixels themselves."""

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def settings(steps: int, **options: Any) -> LatentSearch:
    usual: dict[str, Any] = {
        "descent": Adam([0.9, 0.999], 1e-8, RATES),
        "least_steps": 0,
        "patience": None,
        "tolerance": 0.0,
        "keep_best": False,
        "lambda_": 0.0,
        "distance": "absolute",
        "prior": 0.0,
        "start": "best",
        "starts": 1,
        "restarts": 1,
        "working_set": 64,
        "precision": "float32",
        "compile": None,
        "seed": 0,
    }
    return LatentSearch(steps=steps, **{**usual, **options})


def search(generator: nn.Module, images: Tensor, steps: int = 400, encoder: Any = None, **options: Any) -> SearchResult:
    """Searches with the pixels themselves as features."""
    with frozen(generator):
        return settings(steps, **options).prepare(generator, Pixels(), tuple(images.shape[1:]), encoder)(images)
