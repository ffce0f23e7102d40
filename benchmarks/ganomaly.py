"""GANomaly beside anomalib's: training and scoring images per second, and AUROC after equally many images.

    python benchmarks/ganomaly.py --anomalib PYTHON data.root=FOLDER

PYTHON is that of an environment of its own, made once by

    python -m venv FOLDER && FOLDER/bin/pip install anomalib==2.7.0 torch torchvision

Both sides get the same decoded images at 32 px: the pool of experiment mnist (digit 8, 10 % secretly other digits, no
labels) and 2,000 test images; width, latents of 100 numbers, batches of 64, threads and float32 are equal.

Pairs in turn, the first place changing hands: each side trains `--rate-images` at `--rate-features` and scores the test
images. Ours is all that a run does but what happens a fixed number of times (samples, health, estimate), and its score
comes with map and reconstruction, but without the discriminator's verdict: with it, scoring has a figure of its own,
and so has training in bfloat16. Of anomalib's there is the training step and the forward pass alone, see
anomalib_ganomaly.py. Then each is trained on `--images` at `--features`, ours once more with its known anomalies, which
anomalib's cannot use; `--rates-only` leaves this out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import roc_auc_score
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semigan_pl.tasks.fit import make_trainer
from semigan_pl.tasks.quiet import quieten

ROOT = Path(__file__).resolve().parents[1]
FIXED = ("image_grid", "time_estimate", "rehearsal", "health")  # as in training.py
COMMON = ["+experiment=mnist", "model=ganomaly", "network.size=paper", "data.batch_size=64", "data.test_limit=2000"]
UNKNOWN = ["model.gamma=1", "data.known_anomalies=0"]  # as anomalib's, which has no use for a label
ALONE = ["model.decision.critic=null"]  # nor a second score
JUDGED = ["model.decision.critic=critic"]
KNOWN = ["model.gamma=0.5"]  # experiment mnist: 500 known anomalies
WARM_UP = 10  # batches before the clock counts, of each training
PASSES = 3  # over the test images; the median counts


class Found(NamedTuple):
    """What one training of one side shows."""

    training: float  # images per second
    scoring: float  # images per second
    scores: Any  # of the test images, (N,), higher for anomalies


class Clock(pl.Callback):
    """Seconds of the batches after the first ones."""

    seconds = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        self.seconds += now - self._last if batch_idx >= WARM_UP else 0.0
        self._last = now


def composed(features: int, images: int, *more: str) -> DictConfig:
    """The config of one of our trainings."""
    size = [f"network_sizes.paper.width={features}", "network_sizes.paper.latent_dim=100", f"max_images={images}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[*COMMON, *size, *more])
    OmegaConf.set_struct(config, False)
    for name in FIXED:
        del config.callbacks[name]
    return config


class Sides:
    """Both ways of training, on the same images; `folder` is where they meet."""

    def __init__(self, asked: argparse.Namespace, typed: list[str], folder: Path) -> None:
        self.asked, self.typed, self.folder = asked, typed, folder
        self.versions: dict[str, Any] = {"torch": torch.__version__}
        data = instantiate(self.config(self.asked.features, 0, *UNKNOWN).data.module, _convert_="all")
        data.prepare_data()
        tests = list(data.test_dataloader())
        self.test, self.labels = (torch.cat([getattr(part, name) for part in tests]) for name in ("images", "labels"))
        np.save(folder / "pool.npy", torch.cat([part.images for part in data.pool_dataloader()]).numpy())
        np.save(folder / "test.npy", self.test.numpy())

    def config(self, features: int, images: int, *more: str) -> DictConfig:
        return composed(features, images, f"run={self.folder}", *self.typed, *more)

    def ours(self, features: int, images: int, *more: str) -> Found:
        """The project's training, and `predict` with all that it returns."""
        config = self.config(features, images, *more)
        pl.seed_everything(config.seed, verbose=False)
        data = instantiate(config.data.module, _convert_="all")
        module = instantiate(config.model, _convert_="all")
        trainer, _, _ = make_trainer(config)
        clock = Clock()
        trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        trainer.fit(module, datamodule=data)
        rates, scores = timed(lambda: module.predict(self.test).score, len(self.test))
        counted = images - WARM_UP * config.data.batch_size
        return Found(counted / clock.seconds, statistics.median(rates), scores)

    def anomalib(self, features: int, images: int) -> Found:
        """The same of anomalib's, in a process of its environment."""
        asked = {"features": features, "images": images, "threads": self.asked.threads, "passes": PASSES}
        asked |= {"seed": self.config(features, images).seed, "warm-up": WARM_UP}
        command = [self.asked.anomalib, str(ROOT / "benchmarks" / "anomalib_ganomaly.py"), str(self.folder)]
        command += [f"--{name}={value}" for name, value in asked.items()]
        environment = os.environ | {"OMP_NUM_THREADS": str(self.asked.threads), "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"anomalib's side has failed, is anomalib installed for {command[0]}?\n{done.stderr}")
        rates = json.loads(done.stdout.splitlines()[-1])
        self.versions |= {"of_anomalib": rates["versions"]}
        return Found(rates["training"], rates["scoring"], np.load(self.folder / "scores.npy"))

    def auroc(self, found: Found) -> float:
        return round(float(roc_auc_score(self.labels, found.scores)), 4)


def timed(run: Callable[[], Tensor], n: int) -> tuple[list[float], Tensor]:
    """Images per second of each of some passes over `n` images, and what the last one returned."""
    rates = []
    for _ in range(PASSES):
        start = time.perf_counter()
        found = run()
        rates.append(n / (time.perf_counter() - start))
    return rates, found


def rates(sides: Sides) -> dict[str, Any]:
    """Images per second, in pairs: the median of each side, and of their ratios."""
    size = sides.asked.rate_features, sides.asked.rate_images
    pairs: list[tuple[Found, Found]] = []
    more: list[Found] = []  # what is a figure of its own: training in bfloat16, scoring with the critic
    for number in range(1, sides.asked.pairs + 1):
        if number % 2:
            ours, theirs = sides.ours(*size, *UNKNOWN, *ALONE), sides.anomalib(*size)
        else:
            theirs, ours = sides.anomalib(*size), sides.ours(*size, *UNKNOWN, *ALONE)
        pairs.append((ours, theirs))
        more.append(sides.ours(*size, *UNKNOWN, *JUDGED, "trainer.precision=bf16-mixed"))
        print(
            f"pair {number}: training {ours.training:.0f} images/s, anomalib {theirs.training:.0f}, in bf16 "
            f"{more[-1].training:.0f}; scoring {ours.scoring:.0f}, anomalib {theirs.scoring:.0f}, with the critic "
            f"{more[-1].scoring:.0f}",
            flush=True,
        )
    result: dict[str, Any] = {}
    for name in ("training", "scoring"):
        both = [(getattr(ours, name), getattr(theirs, name)) for ours, theirs in pairs]
        ratios = [ours / theirs for ours, theirs in both]
        result[f"{name}_images_per_second"] = round(statistics.median(ours for ours, _ in both), 1)
        result[f"{name}_images_per_second_anomalib"] = round(statistics.median(theirs for _, theirs in both), 1)
        result |= {f"{name}_ratio": round(statistics.median(ratios), 3)}
        result |= {f"{name}_ratio_min": round(min(ratios), 3), f"{name}_ratio_max": round(max(ratios), 3)}
    result["training_images_per_second_bf16"] = round(statistics.median(found.training for found in more), 1)
    result["scoring_images_per_second_with_critic"] = round(statistics.median(found.scoring for found in more), 1)
    return result


def verdicts(sides: Sides) -> dict[str, Any]:
    """AUROC after equally many images."""
    size = sides.asked.features, sides.asked.images
    runs: dict[str, Callable[[], Found]] = {
        "auroc": lambda: sides.ours(*size, *UNKNOWN),
        "auroc_anomalib": lambda: sides.anomalib(*size),
        "auroc_known": lambda: sides.ours(*size, *KNOWN),
    }
    result: dict[str, Any] = {"features": size[0], "images": size[1]}
    for name, run in runs.items():
        found = run()
        result[name] = sides.auroc(found)
        print(f"{name}: {result[name]} at {found.training:.0f} images/s in training", flush=True)
    return result | {"auroc_gain": round(result["auroc"] - result["auroc_anomalib"], 4)}


def options(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Those of this file, and the Hydra overrides among them."""
    parser = argparse.ArgumentParser(description="all other words are Hydra overrides, such as data.root=FOLDER")
    parser.add_argument("--anomalib", required=True, metavar="PYTHON", help="of an environment with anomalib 2.7")
    parser.add_argument("--rates-only", action="store_true", help="no AUROC")
    defaults = {"threads": 2, "pairs": 5, "rate_features": 64, "rate_images": 3200, "features": 32, "images": 64000}
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    asked, typed = parser.parse_known_args(words)
    if asked.pairs < 1 or asked.threads < 1:
        parser.error("--pairs and --threads must be 1 or more")
    least = (WARM_UP + 1) * 64
    if min(asked.images, asked.rate_images) < least:
        parser.error(f"--images and --rate-images must be {least} or more: the clock starts after {WARM_UP} batches")
    return asked, typed


def main() -> None:
    quieten()
    asked, typed = options(sys.argv[1:])
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(asked, typed, Path(folder))
        result = {"threads": asked.threads, "rate_features": asked.rate_features} | rates(sides)
        if not asked.rates_only:
            result |= verdicts(sides)
        result |= {"versions": sides.versions}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
