"""How well ways to search tell images apart that no test holds: for choosing among them.

    python experiments/table_mnist/development.py RUN [RUN ...]

For each finished run (model=anogan or semigan on MNIST) the latents of development images are searched in several ways,
with its networks as they are. Development images are of the data set's training part alone: normal ones of validation,
which no network has learned from, and 40 of every other class that are neither in the pool nor known. The fusion is
calibrated on validation, as in a run. Means over the runs come last: `all` other classes, and `unseen` ones, which were
not among the known.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import OmegaConf
from sklearn.metrics import roc_auc_score
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.detector import load_detector
from semigan_pl.evaluation.scores import ScoreTable
from semigan_pl.types import from_levels

PER_CLASS = 40  # development images of each class that is not normal
STEPS = 12
WAYS: dict[str, dict[str, Any]] = {
    "absolute, lambda .1": {"lambda_": 0.1, "distance": "absolute", "prior": 0.0},
    "absolute, lambda .9": {"lambda_": 0.9, "distance": "absolute", "prior": 0.0},
    "squared, lambda .99": {"lambda_": 0.99, "distance": "squared", "prior": 0.0},
    "search=map (squared, lambda .99, prior .3)": {"lambda_": 0.99, "distance": "squared", "prior": 0.3},
}
TERMS = ("anogan", "discrimination", "fused")
Aurocs = dict[tuple[str, str, str], float]  # way, term, which anomalies


def images(data: AnomalyDataModule, positions: NDArray[np.int64]) -> Tensor:
    """Images (N, C, H, W) in [-1, 1]."""
    levels = [data.image_format(data.source.read(int(position))) for position in positions]
    return from_levels(torch.from_numpy(np.stack(levels)))


def development(data: AnomalyDataModule, normal: int) -> NDArray[np.int64]:
    """Positions of the development images."""
    source, splits = data.source, data.splits
    used = np.concatenate([splits.train, splits.train_known, splits.val, splits.val_known])
    free = np.setdiff1d(np.flatnonzero(np.asarray(source.parts) == "train"), used)
    noise = np.random.default_rng(0)
    others = [noise.permutation(free[source.classes[free] == kind])[:PER_CLASS] for kind in range(10) if kind != normal]
    return np.concatenate([splits.val[source.classes[splits.val] == normal], *others])


def aurocs(run: Path) -> Aurocs:
    """Of one run, for every way to search."""
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    data: AnomalyDataModule = instantiate(config.data.module, _convert_="all")
    module: Any = load_detector(run / "checkpoints" / "last.ckpt", "cpu").module
    normal, known = int(config.data.normal_classes[0]), list(config.data.known_classes or [])
    taken = development(data, normal)
    kinds = data.source.classes[taken]
    held_out = np.concatenate([data.splits.val, data.splits.val_known])
    labels = (np.arange(len(held_out)) >= len(data.splits.val)).astype(int)
    judged, validation = images(data, taken), images(data, held_out)
    found: Aurocs = {}
    search = module.search
    for way, options in WAYS.items():
        module.search = dataclasses.replace(search, steps=STEPS, **options)
        terms = {name: values.numpy() for name, values in module.predict(validation).terms.items()}
        module.calibrate(ScoreTable(np.arange(len(labels)), labels, terms))
        said = module.predict(judged).terms
        for term in TERMS:
            for which, kept in (("all", kinds >= 0), ("unseen", ~np.isin(kinds, known))):
                found[way, term, which] = roc_auc_score(kinds[kept] != normal, said[term].numpy()[kept])
    return found


def main() -> None:
    torch.set_num_threads(1)
    if not sys.argv[1:]:
        sys.exit("name finished runs: python experiments/table_mnist/development.py RUN [RUN ...]")
    together = defaultdict(list)
    for run in sys.argv[1:]:
        for key, value in aurocs(Path(run)).items():
            together[key].append(value)
        print(f"{run} done", file=sys.stderr, flush=True)
    print("| search | " + " | ".join(f"{term}, {which}" for term in TERMS for which in ("all", "unseen")) + " |")
    print("|---|" + "---|" * 2 * len(TERMS))
    for way in WAYS:
        cells = [together[way, term, which] for term in TERMS for which in ("all", "unseen")]
        deviations = [statistics.stdev(cell) if len(cell) > 1 else 0.0 for cell in cells]
        shown = [f"{statistics.mean(cell):.3f} ± {dev:.3f}" for cell, dev in zip(cells, deviations, strict=True)]
        print(f"| {way} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    main()
