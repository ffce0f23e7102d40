"""One pass through all nine phases up to 1024 px on this machine: processor time and peak memory of each.

    python experiments/progressive/full_size.py run=outputs/full_size

Options are those of run.py; what makes it small stands in SMALL. The run is whole: calibrated, tested and reported.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parents[2]))

from semigan_pl.growth import ProgressiveSchedule
from semigan_pl.tasks.fit import build, train
from semigan_pl.tasks.quiet import quieten

SMALL = [
    "+experiment=inspection",
    "data=surface",
    "data.image_size=1024",
    "data.train_images=48",
    "data.train_anomalies=24",
    "data.known_anomalies=12",
    "data.test_images=8",
    "trainer=cpu",
    "network.size=small",
    "growth.batch_sizes={4:16,32:8,64:8,128:4,256:4,512:4}",
    "max_images=272",
    "search.steps=10",
    "search.starts=4",
    "block_size=2",
    "trainer.log_every_n_steps=1",
]


def reset_peak() -> None:
    """Linux forgets the worst moment so far."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Resident memory at the worst moment since `reset_peak`, MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


class PhaseMeter(pl.Callback):
    """Processor seconds (wall time depends on what else runs) and peak memory of each phase."""

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        self.schedule = schedule
        self.rows: list[dict[str, Any]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        phase = self.schedule.phase(pl_module.images_seen)
        if not self.rows or self.rows[-1]["px"] != phase.resolution:
            reset_peak()
            self.rows.append({"px": phase.resolution, "batch": phase.batch_size, "steps": 0, "seconds": 0.0})
        self.start = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        row = self.rows[-1]
        row["steps"] += 1
        row["seconds"] += time.process_time() - self.start
        row["peak_mib"] = round(peak_mib())


def main() -> None:
    quieten()
    torch.set_num_threads(1)
    with initialize_config_dir(str(Path(__file__).resolve().parents[2] / "conf"), version_base="1.3"):
        config = compose("config", overrides=[*SMALL, *sys.argv[1:]])
    parts = build(config)
    assert parts.data.schedule is not None
    meter = PhaseMeter(parts.data.schedule)
    parts.trainer.callbacks.append(meter)  # type: ignore[attr-defined]
    parts.data.prepare_data()
    train(config, parts)
    print("| px | batch | steps | processor seconds | per image | peak memory, MiB |\n|---|---|---|---|---|---|")
    for row in meter.rows:
        row["seconds_per_image"] = round(row["seconds"] / row["steps"] / row["batch"], 3)
        cells = (row[key] for key in ("px", "batch", "steps", "seconds", "seconds_per_image", "peak_mib"))
        print("| " + " | ".join(f"{cell:.1f}" if cell is row["seconds"] else str(cell) for cell in cells) + " |")
    print(json.dumps({"phases": meter.rows, "report": f"{config.run}/report.html"}))


if __name__ == "__main__":
    main()
