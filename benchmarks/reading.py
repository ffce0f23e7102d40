"""What a training batch costs to read, phase by phase: bytes, time, decoded files, and how long a training would wait.

    python benchmarks/reading.py growth=doubling data=surface data.image_size=1024 data.train_images=64 ...

`fetch` is the time to make one batch. `wait` is how long a training that computes twice as long as that on each batch
waits for the next one, which a thread reads meanwhile. `touched` is what the phase has read of the memory-mapped
full-size file (Linux only; nothing where the images fit into data.cache_memory_mb). The last line is one JSON object;
`decoded_again` counts what opening a built cache decodes: no image for itself, but each with a mask, whose size is
checked.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.loader import TrainingLoader

BATCHES, WARM_UP = 20, 3
MAPPINGS = Path("/proc/self/smaps")


class Reader:
    """Opens the data of a config, and counts the files that are decoded."""

    def __init__(self, config: DictConfig) -> None:
        self.data: AnomalyDataModule = instantiate(config.data.module, _convert_="all")
        self.decoded = 0
        read = self.data.source.read

        def counted(position: int) -> Any:
            self.decoded += 1
            return read(position)

        self.data.source.read = counted  # type: ignore[method-assign]
        start = time.perf_counter()
        self.data.setup()
        self.seconds = time.perf_counter() - start

    def loader(self, images_seen: int) -> TrainingLoader:
        """The training batches from there on, as the only process reads them."""
        module = SimpleNamespace(images_seen=images_seen)
        self.data.trainer = SimpleNamespace(lightning_module=module, global_rank=0, world_size=1)  # type: ignore[assignment]
        return self.data.train_dataloader()


def fetch(loader: TrainingLoader) -> list[float]:
    """Milliseconds of each batch, made in this thread."""
    times = []
    for images_seen in islice(loader.positions.beginnings(), WARM_UP + BATCHES):
        start = time.perf_counter()
        loader.images.batch(loader.positions.at(images_seen), loader.positions.stage(images_seen))
        times.append((time.perf_counter() - start) * 1e3)
    return times[WARM_UP:] or times


def waits(loader: TrainingLoader, pause_ms: float) -> list[float]:
    """Milliseconds that each batch lets a training wait which computes for `pause_ms` on the one before."""
    times, batches = [], islice(loader, WARM_UP + BATCHES)
    start = time.perf_counter()
    for _ in batches:
        times.append((time.perf_counter() - start) * 1e3)
        time.sleep(pause_ms / 1e3)
        start = time.perf_counter()
    return times[WARM_UP:] or times


def touched() -> float | None:
    """MiB of mapped full-size images that this process has read; None where it cannot be known."""
    if not MAPPINGS.exists():
        return None
    kilobytes, full_size, found = 0, False, False
    for line in MAPPINGS.read_text().splitlines():
        if "-" in line.split(maxsplit=1)[0]:  # the first line of a mapping
            full_size = line.endswith(".npy") and not line.endswith("px.npy")
            found |= full_size
        elif full_size and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return round(kilobytes / 1024, 2) if found else None


def measured(reader: Reader, start: int, end: int) -> dict[str, Any]:
    """The figures of the first batches of the phase from `start` to `end` images: cross-faded, the dearest ones."""
    before = touched()
    reader.data.max_images = end
    loader = reader.loader(start)
    images = next(iter(loader)).images
    ms = statistics.median(fetch(loader))
    waited = statistics.median(waits(loader, 2 * ms))
    after = touched()
    return {
        "resolution": images.shape[-1],
        "images": len(images),
        "bytes": images.numel(),  # the cache holds one for each value
        "fetch_ms": round(ms, 3),
        "wait_ms": round(waited, 3),
        "touched_mib": None if after is None or before is None else round(after - before, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    with initialize_config_dir(str(Path(__file__).resolve().parents[1] / "conf"), version_base="1.3"):
        config = compose("config", overrides=sys.argv[1:])
    reader = Reader(config)
    facts = {"decoded_first": reader.decoded, "first_seconds": round(reader.seconds, 2)}
    if touched() is not None:
        del reader
        reader = Reader(config)  # opened afresh: nothing of the files has been touched
        facts |= {"decoded_again": reader.decoded, "again_seconds": round(reader.seconds, 2)}
    decoded, schedule = reader.decoded, reader.data.schedule
    starts = [0] if schedule is None else schedule.starts
    print(f"{'px':>5} {'images':>7} {'bytes':>12} {'fetch ms':>9} {'wait ms':>8} {'touched MiB':>12}")
    phases = []
    for start, end in zip(starts, [*starts[1:], sys.maxsize], strict=True):
        phases.append(row := measured(reader, start, end))
        px, images, size, ms, waited, mib = row.values()
        print(f"{px:5} {images:7} {size:12,} {ms:9.3f} {waited:8.3f} {'-' if mib is None else mib:>12}", flush=True)
    print(json.dumps(facts | {"decoded_by_batches": reader.decoded - decoded, "phases": phases}))


if __name__ == "__main__":
    main()
