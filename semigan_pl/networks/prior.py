"""Where latents come from."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_prior(prior: str, shape: tuple[int, ...], noise: torch.Generator) -> Tensor:
    """Latents of p_z: `normal` is N(0, I), `uniform` is U(-1, 1), as Kimura & Yanagihara draw them (range: ours)."""
    if prior == "normal":
        return torch.randn(shape, generator=noise, device=noise.device)
    if prior == "uniform":
        return torch.rand(shape, generator=noise, device=noise.device) * 2 - 1
    raise ValueError(f"network prior {prior!r} is unknown: use normal or uniform")
