"""Training throughput: the project's training beside a plain PyTorch loop of the same networks, which is the floor.

    python benchmarks/training.py +experiment=mnist_progressive growth.first=32 data.root=FOLDER
    python benchmarks/training.py +experiment=mnist data.root=FOLDER

Pairs in one process, one after the other: equal networks, batch, precision and threads. The loop has a fixed batch and
nothing but both players' forward and backward passes and Adam; the project's training reads data, draws noise, checks
gradients, averages the generator, logs, shows its progress and saves. Left out is what happens a fixed number of times
however long one trains (samples, health, rehearsal or estimate). The last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.nn.utils import parametrize

sys.path.insert(0, str(Path(__file__).parents[1]))

from semigan_pl.tasks.fit import make_trainer
from semigan_pl.tasks.quiet import quieten
from semigan_pl.types import Batch

FIXED = ("image_grid", "time_estimate", "rehearsal", "health")
PAIRS, SECONDS = 7, 8.0  # pairs, and about how long each half of one takes


def trained(config: DictConfig, steps: int) -> tuple[float, Any, Any]:
    """Seconds per step of the project's training, and the data and model that it used."""
    config.max_images = steps * config.data.batch_size
    data = instantiate(config.data.module, _convert_="all")
    model = instantiate(config.model, _convert_="all")
    trainer, _, timing = make_trainer(config)
    trainer.fit(model, datamodule=data)
    return timing.train_seconds / steps, data, model


def penalty(discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP, written down once more."""
    t = torch.rand(len(real), 1, 1, 1)
    points = (t * real + (1 - t) * fake).float().requires_grad_(True)
    with torch.autocast("cpu", enabled=False):
        (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def plain(model: Any, batch: Batch, steps: int, autocast: bool) -> float:
    """Seconds per step of the arithmetic alone."""
    optimizer_d, optimizer_g = model.configure_optimizers()
    real, known = batch.unlabelled, batch.known_anomalies
    z = model.generator.sample_latents(len(real), torch.Generator())
    loss, gamma, discriminator, generator = model.loss, model.gamma, model.discriminator, model.generator
    start = time.perf_counter()
    for _ in range(steps):
        with parametrize.cached(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            with torch.no_grad():
                fake = generator(z)
            logits = discriminator(real)
            d_loss = loss.real(logits).mean() + gamma * loss.fake(discriminator(fake)).mean()
            if gamma < 1:
                d_loss = d_loss + (1 - gamma) * loss.fake(discriminator(known)).mean()
            if loss.drift:
                d_loss = d_loss + loss.drift * logits.square().mean()
            if loss.gradient_penalty:
                d_loss = d_loss + loss.gradient_penalty * penalty(discriminator, real, fake)
            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()
        discriminator.requires_grad_(False)
        with parametrize.cached(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            g_loss = loss.generator(discriminator(generator(z))).mean()
            optimizer_g.zero_grad()
            g_loss.backward()
            optimizer_g.step()
        discriminator.requires_grad_(True)
    return (time.perf_counter() - start) / steps


def pair(config: DictConfig, steps: int, autocast: bool) -> tuple[float, float]:
    """Seconds per step of the project and of the loop."""
    ours, data, model = trained(config, steps)
    model.images_seen = 0  # the loader goes on where the training stands
    return ours, plain(model, next(iter(data.train_dataloader())), steps, autocast)


def main() -> None:
    quieten()
    torch.set_num_threads(1)
    with initialize_config_dir(str(Path(__file__).resolve().parents[1] / "conf"), version_base="1.3"):
        config = compose("config", overrides=sys.argv[1:])
    OmegaConf.set_struct(config, False)
    autocast = str(config.trainer.precision).startswith("bf16")
    for name in FIXED:
        del config.callbacks[name]
    with tempfile.TemporaryDirectory() as folder:
        config.run = folder
        first, _ = pair(config, 20, autocast)
        steps = max(20, round(SECONDS / first))
        pairs = []
        for number in range(1, PAIRS + 1):
            pairs.append(pair(config, steps, autocast))
            ours, floor = pairs[-1]
            print(f"pair {number}: {ours * 1e3:.1f} ms a step, the plain loop {floor * 1e3:.1f} ms", flush=True)
    ratios = [floor / ours for ours, floor in pairs]
    size = config.data.batch_size
    result = {
        "images_per_second": round(size / statistics.median(ours for ours, _ in pairs), 1),
        "images_per_second_plain": round(size / statistics.median(floor for _, floor in pairs), 1),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_min": round(min(ratios), 4),
        "ratio_max": round(max(ratios), 4),
        "steps": steps,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
