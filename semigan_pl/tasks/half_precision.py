"""Training in bfloat16 on a processor that has no instructions for it: right, and many times slower than in float32."""

from __future__ import annotations

import time

import pytorch_lightning as pl
import torch
from torch.nn.functional import conv2d

WORTH_SAYING = 2.0  # times as long as in float32
REPEATS = 3  # of which the fastest counts: other work on the machine only adds


def advice(trainer: pl.Trainer) -> str | None:
    """What to type instead where training in bfloat16 on this CPU is slow; None where it is not, or is not wanted."""
    if not str(trainer.precision).startswith("bf16") or trainer.strategy.root_device.type != "cpu":
        return None
    factor = slowdown()
    if factor < WORTH_SAYING:
        return None
    return (
        f"This processor is slow in bfloat16: a convolution takes {factor:.0f} times as long as in float32. Train with"
        " trainer.precision=32-true instead."
    )


def slowdown() -> float:
    """Seconds of a convolution in bfloat16 over seconds in float32, on the CPU; a tenth of a second to measure."""
    images, weights = torch.ones(16, 32, 16, 16), torch.ones(64, 32, 4, 4)
    half = images.bfloat16(), weights.bfloat16()
    return _seconds(*half) / _seconds(images, weights)


def _seconds(images: torch.Tensor, weights: torch.Tensor) -> float:
    """Of the fastest of some convolutions, after a first one that prepares."""
    taken = []
    for _ in range(1 + REPEATS):
        begin = time.perf_counter()
        conv2d(images, weights, stride=2, padding=1)
        taken.append(time.perf_counter() - begin)
    return min(taken[1:])
