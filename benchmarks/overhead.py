"""What share of a training step is not network arithmetic: data, random numbers, logging, callbacks, Lightning, Python.

    python benchmarks/overhead.py +experiment=mnist_gamma data.root=FOLDER

Pairs of equal length in one process: the project's own training, and the same arithmetic on a fixed batch in a bare
loop (both players' forward, backward and Adam, nothing else). What happens a fixed number of times in a training of any
length (eight grids of samples, one estimate of the time) is left out. The last line is one JSON object.
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
from torch.nn.utils import parametrize

sys.path.insert(0, str(Path(__file__).parents[1]))

from semigan_pl.tasks.fit import make_trainer
from semigan_pl.tasks.quiet import quieten
from semigan_pl.types import Batch

PAIRS, STEPS, WARM_UP = 5, 200, 30


def trained(config: DictConfig, steps: int) -> tuple[float, Any, Any]:
    """Seconds per step of the project's training, and the data and model that it used."""
    config.max_images = steps * config.data.batch_size
    data = instantiate(config.data.module, _convert_="all")
    model = instantiate(config.model, _convert_="all")
    trainer, _, timing = make_trainer(config)
    trainer.fit(model, datamodule=data)
    return timing.train_seconds / steps, data, model


def bare(model: Any, batch: Batch, steps: int, autocast: bool) -> float:
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
            d_loss = loss.real(discriminator(real)).mean() + gamma * loss.fake(discriminator(fake)).mean()
            if gamma < 1:
                d_loss = d_loss + (1 - gamma) * loss.fake(discriminator(known)).mean()
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


def main() -> None:
    quieten()
    torch.set_num_threads(1)
    with initialize_config_dir(str(Path(__file__).resolve().parents[1] / "conf"), version_base="1.3"):
        config = compose("config", overrides=sys.argv[1:])
    OmegaConf.set_struct(config, False)
    autocast = str(config.trainer.precision).startswith("bf16")
    for fixed in ("image_grid", "time_estimate"):
        del config.callbacks[fixed]
    with tempfile.TemporaryDirectory() as folder:
        config.run = folder
        shares, ours = [], []
        for pair in range(PAIRS + 1):  # the first one warms up
            steps = STEPS if pair else WARM_UP
            whole, data, model = trained(config, steps)
            model.images_seen = 0  # the loader goes on where the training stands
            batch = next(iter(data.train_dataloader()))
            arithmetic = bare(model, batch, steps, autocast)
            if pair:
                shares.append(1 - arithmetic / whole)
                ours.append(whole * 1e3)
                print(
                    f"pair {pair}: {whole * 1e3:.1f} ms a step, {arithmetic * 1e3:.1f} ms of it arithmetic", flush=True
                )
    print(
        json.dumps(
            {
                "overhead_share": round(statistics.median(shares), 4),
                "overhead_share_min": round(min(shares), 4),
                "overhead_share_max": round(max(shares), 4),
                "step_ms": round(statistics.median(ours), 2),
                "batch_size": config.data.batch_size,
            }
        )
    )


if __name__ == "__main__":
    main()
