"""anomalib's GANomaly, trained and asked for scores: the other side of benchmarks/ganomaly.py, which starts this file.

    PYTHON benchmarks/anomalib_ganomaly.py FOLDER --features=64 --images=6400 --threads=2 --passes=3 --seed=0 \
        --warm-up=10

PYTHON is that of an environment with anomalib 2.7 (`pip install anomalib==2.7.0 torch torchvision`), which this project
does not depend on: nothing of the project is imported here. FOLDER holds pool.npy and test.npy, images
(N, 1, H, H) in [-1, 1]; scores.npy is written beside them. The last line is one JSON object.

Its own module, losses, optimizers and training step, under Lightning's Trainer with all that costs time and is not
training left out: `barebones` (no logger, checkpoint, progress bar, nothing logged), no pre- or post-processor,
metrics, pictures or augmentation. The images are decoded, and tripled to the three channels that its network always
has.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anomalib
import numpy as np
import torch
from anomalib.data import ImageBatch
from anomalib.models import Ganomaly
from anomalib.pre_processing import PreProcessor
from lightning.pytorch import Trainer
from torch import Tensor
from torchvision.transforms.v2 import Resize

BATCH = 64


class Timed(Ganomaly):
    """anomalib's module and a clock: seconds of the batches after the first ones."""

    warm_up = 0
    seconds = 0.0

    def on_train_start(self) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        self.seconds += now - self._last if batch_idx >= self.warm_up else 0.0
        self._last = now


class Batches:
    """So many batches of the pool, whole passes after one another, each in a new order."""

    def __init__(self, pool: Tensor, n: int, seed: int) -> None:
        noise = torch.Generator().manual_seed(seed)
        passes = -(-n * BATCH // len(pool))
        order = torch.cat([torch.randperm(len(pool), generator=noise) for _ in range(passes)])
        self.pool, self.positions = pool, order[: n * BATCH].split(BATCH)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[ImageBatch]:
        return (ImageBatch(image=self.pool[positions]) for positions in self.positions)


def trained(pool: Tensor, features: int, n: int, seed: int, warm_up: int) -> Timed:
    """Its GANomaly after `n` batches."""
    torch.manual_seed(seed)
    size = PreProcessor(transform=Resize(pool.shape[2:]))  # tells the network the size of the images, and then goes
    off = {"post_processor": False, "evaluator": False, "visualizer": False}
    module = Timed(batch_size=BATCH, n_features=features, latent_vec_size=100, pre_processor=size, **off)
    module.pre_processor, module.warm_up = None, warm_up
    trainer = Trainer(barebones=True, max_epochs=1, accelerator="cpu")
    trainer.fit(module, train_dataloaders=Batches(pool, n, seed))
    return module


@torch.inference_mode()
def scores(module: Timed, images: Tensor) -> Tensor:
    """Raw scores (N,), higher for anomalies: what its predict step computes, and nothing else."""
    return torch.cat([module.model(batch).pred_score for batch in images.split(BATCH)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("features", "images", "threads", "passes", "seed", "warm-up"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    pool, test = (torch.from_numpy(np.load(asked.folder / f"{name}.npy")) for name in ("pool", "test"))
    n = asked.images // BATCH
    module = trained(pool.repeat(1, 3, 1, 1), asked.features, n, asked.seed, asked.warm_up).eval()
    test = test.repeat(1, 3, 1, 1)
    rates = []
    for _ in range(asked.passes):
        start = time.perf_counter()
        found = scores(module, test)
        rates.append(len(test) / (time.perf_counter() - start))
    np.save(asked.folder / "scores.npy", found.numpy())
    training = (n - asked.warm_up) * BATCH / module.seconds
    versions = {"anomalib": anomalib.__version__, "torch": torch.__version__}
    print(json.dumps({"training": training, "scoring": float(np.median(rates)), "versions": versions}))


if __name__ == "__main__":
    main()
