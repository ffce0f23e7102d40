"""How training would scale to many GPUs: bytes to average per step against arithmetic. A model, no measurement.

    python experiments/progressive/scaling.py [--tflops 50 ...] [OPTIONS OF run.py]

Gradients, operations and kernels are counted on the real networks, losses and stages, on the meta device: nothing is
computed and no image is allocated. What a GPU and its links do per second is assumed: see --help.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semigan_pl.growth import Stage, set_stage
from semigan_pl.losses.adversarial import discriminator_terms
from semigan_pl.losses.penalties import gradient_penalty

CONF = Path(__file__).resolve().parents[2] / "conf"
PAPER = ["+experiment=progressive", "network.size=paper", "data.image_size=1024", "data.channels=3"]
BATCHES = {4: 16, 256: 14, 512: 6, 1024: 3}  # of each GPU: those of the paper's single one (Karras et al. 2018)
FLOAT = 4  # bytes


class Step(NamedTuple):
    """What one step of both players takes on one GPU."""

    resolution: int
    batch: int
    images: int  # of the phase
    flops: int
    kernels: int
    reduced: int  # bytes that have to be averaged
    wrapped: int  # bytes that a wrapper around both players would average


class Counter(TorchDispatchMode):
    """Counts what is done: multiplications and additions of convolutions and matrix products, and kernels started."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.kernels += not func.is_view
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def bytes_of(tensors: Any) -> int:
    return FLOAT * sum(tensor.numel() for tensor in tensors)


def count(generator: Any, discriminator: Any, config: Any, stage: Stage, batch: int, images: int) -> Step:
    """One step at a stage: the discriminator with its penalty and known anomalies, then the generator."""
    loss, gamma, size = instantiate(config.loss), config.model.gamma, stage.resolution
    players = (discriminator, generator)
    everything = [p for player in players for p in player.parameters()]
    statistics = bytes_of(b for player in players for b in player.buffers() if b.is_floating_point())
    reduced = 2 * statistics
    for parameter in everything:
        parameter.grad = None
    for player in players:
        set_stage(player, stage)
    with Counter() as counter:
        z = torch.empty(batch, generator.latent_dim, device="meta")
        real, known = (torch.empty(batch, config.data.channels, size, size, device="meta") for _ in range(2))
        with torch.no_grad():
            fake = generator(z)
        logits: list[Tensor] = [discriminator(shown) for shown in (real, fake, known)]
        terms = discriminator_terms(loss, *logits, gamma, 1.0)
        penalty = loss.gradient_penalty * gradient_penalty(discriminator, real).mean()
        (torch.stack(list(terms.values())).sum() + penalty).backward()
        reduced += _move(discriminator)
        discriminator.requires_grad_(False)
        loss.generator(discriminator(generator(z))).mean().backward()
        reduced += _move(generator)
        discriminator.requires_grad_(True)
    return Step(size, batch, images, counter.flops, counter.kernels, reduced, 2 * (bytes_of(everything) + statistics))


def _move(player: nn.Module) -> int:
    """Bytes of the gradients that a player has, which it then steps along."""
    return bytes_of(p.grad for p in player.parameters() if p.grad is not None)


def ring(size: int, n: int, bandwidth: float) -> float:
    """Seconds of a ring all-reduce among `n`: each sends and receives 2 (n - 1) / n of the bytes."""
    return 2 * (n - 1) / n * size / bandwidth


def table(steps: list[Step], assumed: argparse.Namespace) -> str:
    """Markdown: one row per resolution, and all phases together, each as long as the schedule has it."""
    settings = [(8, assumed.inside * 1e9), (64, assumed.between * 1e9)]
    heads = ["px", "images per GPU", "TFLOP", "kernels", "compute, ms", "MB averaged", "MB with a wrapper"]
    for n, _ in settings:
        heads += [f"{n} GPUs: ms", "efficiency", "with a wrapper"]
    lines = [heads, ["---:"] * len(heads)]
    totals = [0.0] * (1 + 2 * len(settings))
    for step in steps:
        compute = max(step.flops / assumed.tflops / 1e12, step.kernels * assumed.launch * 1e-6)
        seconds = [ring(size, n, speed) for n, speed in settings for size in (step.reduced, step.wrapped)]
        row = [step.resolution, step.batch, f"{step.flops / 1e12:.3g}", step.kernels, f"{compute * 1e3:.0f}"]
        row += [f"{step.reduced / 1e6:.0f}", f"{step.wrapped / 1e6:.0f}"]
        for ours, wrapped in zip(seconds[::2], seconds[1::2], strict=True):
            row += [f"{ours * 1e3:.1f}", f"{compute / (compute + ours):.1%}", f"{compute / (compute + wrapped):.1%}"]
        lines.append([str(cell) for cell in row])
        of_phase = step.images / step.batch
        totals = [total + of_phase * part for total, part in zip(totals, [compute, *seconds], strict=True)]
    last = ["all", "", "", "", "", "", ""]
    for ours, wrapped in zip(totals[1::2], totals[2::2], strict=True):
        last += ["", f"{totals[0] / (totals[0] + ours):.1%}", f"{totals[0] / (totals[0] + wrapped):.1%}"]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines, last])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=50, help="what a GPU sustains, 10^12 operations/s")
    parser.add_argument("--launch", type=float, default=5, help="microseconds that a kernel takes at least")
    parser.add_argument("--inside", type=float, default=150, help="GB/s of a ring of 8 GPUs in one machine")
    parser.add_argument("--between", type=float, default=25, help="GB/s of a ring through 8 machines of 8 GPUs")
    assumed, overrides = parser.parse_known_args()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[*PAPER, *overrides])
    config.max_images = None  # the schedule in its own counts
    with torch.device("meta"):
        generator, discriminator = instantiate(config.model.generator), instantiate(config.model.discriminator)
    steps = []
    for phase in instantiate(config.growth, batch_sizes=BATCHES).phases:
        stage, images = Stage(phase.resolution), phase.fade + phase.hold
        steps.append(count(generator, discriminator, config, stage, phase.batch_size, images))
    print(table(steps, assumed))


if __name__ == "__main__":
    main()
