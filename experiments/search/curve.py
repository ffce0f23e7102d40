"""What a search finds against the steps and the time that it takes, for several starts and descents.

    python experiments/search/curve.py checkpoint=FOLDER/checkpoints/last.ckpt data.root=FOLDER_OF_MNIST

The checkpoint is of a run with an encoder (encoding=izi_f): without one its rows are left out. Adds to curve.csv what
is not in it yet, one row per configuration, and draws curve.png. Other options are those of run.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.utils import instantiate
from material import composed, descent, trained
from rows import Rows, listed
from torch import Tensor

from semigan_pl.data.loader import BatchLoader
from semigan_pl.evaluation.metrics import auroc
from semigan_pl.latent_search import PreparedSearch, SearchResult, frozen
from semigan_pl.methods.anogan import AnoGAN
from semigan_pl.types import Batch

HERE = Path(__file__).parent
DATA = ["+experiment=mnist", "data.test_limit=600", "data.outlier_share=0.5"]  # 300 normal, 300 anomalous
SECONDS = 2.0  # for which short searches are repeated: their time is the median
KEYS = ("way", "steps", "checkpoint", "test_images", "validation_images", "threads")
VALUES = (
    *("start", "starts", "descent", "prepare_seconds", "ms_per_image", "validation_loss", "test_loss"),
    *("auroc", "auroc_residual", "auroc_discrimination"),
)


class Way(NamedTuple):
    """Where a search begins and how it goes on."""

    name: str
    start: str
    starts: int
    descent: str

    @property
    def is_published(self) -> bool:
        """AnoGAN's own, which returns the last z and not the best one."""
        return self.descent == "paper"


WAYS = (
    Way("AnoGAN: one start, Adam", "best", 1, "paper"),
    Way("best of 512, Adam", "best", 512, "adam"),
    Way("best of 512, L-BFGS", "best", 512, "lbfgs"),
    Way("nearest of 4096, L-BFGS", "nearest", 4096, "lbfgs"),
    Way("encoder, Adam", "encoder", 1, "adam"),
    Way("encoder, L-BFGS", "encoder", 1, "lbfgs"),
)


class Sets(NamedTuple):
    """What is searched for."""

    test: Batch
    validation: Tensor  # unlabelled images (N, C, H, W): what is chosen on them has seen no label at all


def gathered(loader: BatchLoader) -> Batch:
    """All batches as one."""
    return Batch(*(torch.cat(parts) for parts in zip(*loader, strict=True)))


def timed(prepared: PreparedSearch, images: Tensor) -> tuple[SearchResult, float]:
    """What was found, and seconds: the median of as many searches as a short while allows."""
    seconds = list[float]()
    while sum(seconds) < SECONDS:
        start = time.perf_counter()
        found = prepared(images)
        seconds.append(time.perf_counter() - start)
    return found, statistics.median(seconds)


def measured(module: AnoGAN, way: Way, steps: int, sets: Sets) -> dict[str, Any]:
    """One row's values."""
    module.search = dataclasses.replace(
        module.search,
        descent=descent(way.descent),
        start=way.start,
        starts=way.starts,
        restarts=1,
        steps=steps,
        patience=None,
        keep_best=not way.is_published,
    )
    with frozen(module):
        start = time.perf_counter()
        prepared = module.prepared(tuple(sets.test.images.shape[1:]))
        prepare_seconds = time.perf_counter() - start
        found, seconds = timed(prepared, sets.test.images)
        on_validation = prepared(sets.validation)
    loss, labels = found.loss, sets.test.labels.numpy()
    return {
        "prepare_seconds": f"{prepare_seconds:.3f}",
        "ms_per_image": f"{1000 * seconds / len(labels):.4f}",
        "validation_loss": f"{float(on_validation.loss.mean()):.4f}",
        "test_loss": f"{float(loss.mean()):.4f}",
        "auroc": f"{auroc(labels, loss.numpy()):.5f}",
        "auroc_residual": f"{auroc(labels, found.residual.numpy()):.5f}",
        "auroc_discrimination": f"{auroc(labels, found.discrimination.numpy()):.5f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=listed, default=[0, 1, 2, 3, 5, 8, 12, 25, 50, 100], help="of every way")
    parser.add_argument("--published", type=listed, default=[200, 500], help="further steps of AnoGAN's own")
    parser.add_argument("--validation", type=int, default=300, help="unlabelled images of validation, at most")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of curve.csv and curve.png")
    options, overrides = parser.parse_known_args()
    config = composed([*DATA, *overrides])
    data = instantiate(config.data.module, _convert_="all")
    module = trained(config, data)
    pool = gathered(data.val_dataloader())
    sets = Sets(gathered(data.test_dataloader()), pool.unlabelled[: options.validation])
    rows = Rows(options.out / "curve.csv", KEYS, VALUES)
    if module.encoding is None:
        print("This checkpoint has no encoder (encoding=izi_f trains one): its rows are left out.")
    ways = [way for way in WAYS if way.start != "encoder" or module.encoding is not None]
    same = {
        "checkpoint": hashlib.sha256(Path(config.checkpoint).expanduser().read_bytes()).hexdigest()[:8],
        "test_images": len(sets.test.labels),
        "validation_images": len(sets.validation),
        "threads": torch.get_num_threads(),
    }
    for way in ways:
        for steps in options.steps + (options.published if way.is_published else []):
            row = {"way": way.name, "start": way.start, "starts": way.starts, "descent": way.descent, "steps": steps}
            if (row := row | same) not in rows:
                rows.add(row := row | measured(module, way, steps, sets))
                print("{way}, {steps} steps: {ms_per_image} ms, loss {validation_loss}, AUROC {auroc}".format(**row))
    from draw import draw_curve

    draw_curve(options.out, same)


if __name__ == "__main__":
    main()
