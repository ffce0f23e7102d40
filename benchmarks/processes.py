"""What averaging each player by itself saves against DistributedDataParallel with find_unused_parameters.

    python benchmarks/processes.py [OPTIONS OF run.py]

Two processes on the CPU, one thread each; the two ways take turns, on the small progressive networks and on DCGAN, both
at 32 px. Left out is what happens a fixed number of times however long one trains. Beside images per second stands the
processor time of a step, which also counts on a machine that others use. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback

from semigan_pl.tasks.fit import build, plain
from semigan_pl.tasks.processes import run_in_processes, settle_devices
from semigan_pl.tasks.quiet import quieten

FIXED = ("image_grid", "time_estimate", "rehearsal", "health", "progress_bar")
NETWORKS = {"progressive": (15, ["+experiment=progressive", "growth=none"]), "dcgan": (150, [])}  # steps of a turn
WRAPPER, OURS = "ddp_find_unused_parameters_true", "playerwise"
PAIRS, WARM_UP = 5, 3


class Clock(Callback):
    """Seconds on the wall, and of this process's processor, from the second step on: the first one is slow."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter(), time.process_time()
        self.start = now if batch_idx == 0 else self.start
        self.wall, self.processor = (after - before for after, before in zip(now, self.start, strict=True))


def measure(config: dict[str, Any]) -> None:
    """In each process: trains by both ways in turn; the first process writes down what each step took."""
    quieten()
    taken: dict[str, list[tuple[float, float]]] = {WRAPPER: [], OURS: []}
    length = config["max_images"]
    for pair in range(PAIRS + 1):  # the first one warms up
        for way, steps in taken.items():
            settled = OmegaConf.create(config)
            assert isinstance(settled, DictConfig)
            settled.max_images = length if pair else WARM_UP * settled.data.batch_size
            if way == WRAPPER:
                settled.trainer.strategy = WRAPPER
            parts, clock = build(settled), Clock()
            parts.trainer.callbacks.append(clock)
            parts.trainer.fit(parts.model, datamodule=parts.data)
            if pair:
                n = settled.max_images // settled.data.batch_size - 1
                steps.append((clock.wall / n, clock.processor / n))
    if parts.trainer.is_global_zero:
        (Path(config["run"]) / "taken.json").write_text(json.dumps(taken), encoding="utf-8")


def compared(config: DictConfig) -> dict[str, float]:
    """Medians of both ways, and of the ratios of neighbours: above 1 ours is the quicker one."""
    OmegaConf.set_struct(config, False)
    config.trainer.enable_progress_bar = False
    for name in FIXED:
        config.callbacks.pop(name, None)
    settle_devices(config)
    with tempfile.TemporaryDirectory() as folder:
        config.run = folder
        run_in_processes(measure, plain(config), 2)
        taken = json.loads((Path(folder) / "taken.json").read_text(encoding="utf-8"))
    result: dict[str, float] = {}
    for way, name in ((OURS, "ours"), (WRAPPER, "find_unused")):
        result[f"images_per_second_{name}"] = round(
            config.data.batch_size / statistics.median(wall for wall, _ in taken[way]), 1
        )
        result[f"processor_ms_{name}"] = round(statistics.median(processor for _, processor in taken[way]) * 1e3, 1)
    for number, name in enumerate(("ratio", "processor_ratio")):
        ratios = [b[number] / a[number] for a, b in zip(taken[OURS], taken[WRAPPER], strict=True)]
        result |= {name: round(statistics.median(ratios), 3)}
        result |= {f"{name}_min": round(min(ratios), 3), f"{name}_max": round(max(ratios), 3)}
    return result


def main() -> None:
    quieten()
    result = {}
    for name, (steps, overrides) in NETWORKS.items():
        with initialize_config_dir(str(Path(__file__).resolve().parents[1] / "conf"), version_base="1.3"):
            config = compose("config", [*overrides, "data.image_size=32", "trainer=ddp", *sys.argv[1:]])
        config.max_images = steps * config.data.batch_size
        result[name] = compared(config)
        print(f"{name}: {result[name]}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
