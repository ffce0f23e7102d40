"""New images judged, by this process or shared out among several: rows and overlays are on disk as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, ListConfig, OmegaConf

from semigan_pl.data.image_source import ImageSource
from semigan_pl.detector import Detector, load_detector
from semigan_pl.progress import following
from semigan_pl.settings import checkpoint_path
from semigan_pl.tasks.inspection import inspected
from semigan_pl.tasks.launched import launch
from semigan_pl.tasks.overlay_files import write_overlay
from semigan_pl.tasks.processes import processes_to_start, run_in_processes
from semigan_pl.tasks.quiet import quieten
from semigan_pl.tasks.suspects import Seen
from semigan_pl.tasks.unfinished import UnfinishedTable


def predictions(config: DictConfig, detector: Detector) -> UnfinishedTable:
    """The table of all images."""
    columns = ["path", "score", "decision", *detector.module.decision.names(detector.module.terms)]
    return UnfinishedTable(Path(config.run) / "predictions.csv", columns)


def devices(config: DictConfig) -> list[str]:
    """What each process computes on, once `settle_devices` has said how many there are."""
    chosen = config.trainer.devices
    numbers = list(chosen) if isinstance(chosen, ListConfig) else range(int(chosen))
    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return [f"cuda:{number}" if on_gpu else "cpu" for number in numbers]


def judged(
    config: DictConfig,
    detector: Detector,
    source: ImageSource,
    positions: NDArray[np.int64],
    writer: Any,
    broken: dict[int, str],
) -> Iterator[list[Seen]]:
    """The images at these positions, a block at a time, once their overlays and rows are on disk.

    An image's row comes after its overlay: what has a row is done. Those that cannot be read go into `broken`.
    """
    for block in inspected(detector, source, positions.tolist(), broken):
        for seen in block:
            write_overlay(config, detector, seen)
            found = seen.found
            writer.writerow([found.path, repr(found.score), int(found.is_anomalous), *map(repr, found.terms.values())])
        yield block


def share_out(
    config: DictConfig, source: ImageSource, positions: NDArray[np.int64], advance: Callable[[int], None]
) -> None:
    """Lets other processes judge the images at these positions, each image one of them; returns when they have ended.

    Raises ValueError with the sentence of the first that meets bad input.
    """
    count = get_context("spawn").Value("q", 0)
    work = partial(judge_share, source, positions, count)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    with following(lambda: count.value, advance):
        run_in_processes(work, plain, processes_to_start(config))


def judge_share(source: ImageSource, positions: NDArray[np.int64], count: Any, plain: dict[str, Any]) -> None:
    """What one of several processes does. It is given the images: in a folder that it lists itself, others may be."""
    quieten()
    config, this = OmegaConf.create(plain), launch()
    assert isinstance(config, DictConfig)
    checkpoint = checkpoint_path(config)
    assert checkpoint is not None
    assert this is not None, "run_in_processes has started it"
    detector = load_detector(checkpoint, devices(config)[this.place])
    detector.module.block_size = config.block_size
    share = positions[this.place :: this.processes]
    with predictions(config, detector).growing(this.place) as writer:
        for block in judged(config, detector, source, share, writer, {}):
            with count.get_lock():
                count.value += len(block)
