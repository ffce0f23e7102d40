"""One measurement of scaling.py, in a process of its own: its peak memory is that of this search alone.

    python experiments/search/one_search.py --images 64 [--through predict] [OPTIONS OF run.py]

Networks come from checkpoint=, or are random ones of the config; images are the first of the test set where data.root
is set, or drawn by the generator. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import torch
from hydra.utils import instantiate
from material import composed, trained, untrained
from omegaconf import DictConfig
from torch import Tensor

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.latent_search import frozen
from semigan_pl.latent_search.working_set import GRADIENTS, bytes_per_search
from semigan_pl.methods.anogan import AnoGAN

MIB = 2**20


def peak_mib() -> float:
    """Resident memory at the worst moment of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB


def batches(module: AnoGAN, data: AnomalyDataModule | None, n: int) -> Iterator[Tensor]:
    """The first `n` images, a block at a time, read or drawn when their turn comes."""
    if data is not None:
        for batch in data.test_dataloader():
            yield batch.images[:n]
            if (n := n - len(batch.images)) <= 0:
                return
        raise ValueError(f"the test set is {n} images too small: measure fewer")
    generator: Any = module.best_generator
    noise = torch.Generator().manual_seed(1)
    while n > 0:
        z = generator.sample_latents(min(n, 8), noise)
        with torch.no_grad():
            yield generator(z).clamp(-1, 1)
        n -= len(z)


def parts(config: DictConfig) -> tuple[AnoGAN, AnomalyDataModule | None]:
    """Networks, and the data where there are any."""
    data = None if config.data.root is None else instantiate(config.data.module, _convert_="all")
    if data is None and config.checkpoint is not None:
        raise ValueError(f"{config.checkpoint} is to search, but for which images? Add data.root=FOLDER")
    module = untrained(config) if data is None or config.checkpoint is None else trained(config, data)
    module.search = instantiate(config.search, _convert_="all")
    return module, data


def through_predict(module: AnoGAN, images: Iterator[Tensor]) -> tuple[float, float]:
    """As in a test or prediction: batch by batch, scores alone are kept. Seconds before the first and from then on."""
    first = next(images)
    start = time.perf_counter()
    with frozen(module):
        module.prepared(tuple(first.shape[1:]))
    prepared = time.perf_counter()
    scores = [module.predict(first).score, *(module.predict(batch).score for batch in images)]
    assert bool(torch.cat(scores).isfinite().all())
    return prepared - start, time.perf_counter() - prepared


def through_search(module: AnoGAN, images: Tensor) -> tuple[float, float, float]:
    """The search alone, all images in one call. Seconds of preparing and of searching, and the mean final loss."""
    start = time.perf_counter()
    with frozen(module):
        prepared = module.prepared(tuple(images.shape[1:]))
        ready = time.perf_counter()
        found = prepared(images)
        end = time.perf_counter()
    return ready - start, end - ready, float(found.loss.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--through", choices=("search", "predict"), default="search")
    options, overrides = parser.parse_known_args()
    config = composed(overrides)
    module, data = parts(config)
    images, loss = batches(module, data, options.images), float("nan")
    if options.through == "predict":
        before = psutil.Process().memory_info().rss / MIB
        prepare_seconds, seconds = through_predict(module, images)
    else:
        searched = torch.cat(list(images))
        module.block_size = len(searched)  # one call brings them all: the working set may be as large
        before = psutil.Process().memory_info().rss / MIB
        prepare_seconds, seconds, loss = through_search(module, searched)
    peak = peak_mib()
    shape = (config.data.channels, config.data.image_size, config.data.image_size)
    with frozen(module):
        objective = module.prepared(shape).objective
    of_one = bytes_per_search(module.best_generator, module.discriminator, shape)
    rows = objective.padded(min(options.images * module.search.restarts, objective.working_set.rows))
    result = {
        "threads": torch.get_num_threads(),
        "prepare_seconds": round(prepare_seconds, 3),
        "seconds": round(seconds, 3),
        "ms_per_image": round(1000 * seconds / options.images, 4),
        "loss": round(loss, 4),
        "rows": rows,
        "bytes_per_search": of_one,
        "before_mib": round(before, 1),
        "peak_mib": round(peak, 1),
        "expected_mib": round(GRADIENTS * rows * of_one / MIB, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
