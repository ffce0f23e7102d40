"""Jobs of a multirun that differ only in how they search, score or report: one of them trains, the others go on."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from semigan_pl.atomic import replacing, write_bytes
from semigan_pl.callbacks.checkpoint import keep_as
from semigan_pl.tasks.held import held
from semigan_pl.tasks.multirun import is_multirun

LAST = Path("checkpoints") / "last.ckpt"
TAKEN_OVER = Path("checkpoints") / "taken_over.txt"  # where the curves in metrics.csv are another run's
COUNT = "images_seen"  # first column of metrics.csv
TRAINED = Path("checkpoints") / "training.txt"  # which training has made the checkpoint; not there until it is over
# Where a run lies, what it shows and where it is sent
OUTSIDE = (
    *("task", "name", "run", "runs", "checkpoint", "cards", "overlays", "logger"),
    *("data.cache_dir", "data.module.cache", "data.cache_memory_mb"),
    *("callbacks.progress_bar", "callbacks.score_writer"),
)
# All that training does not depend on. Whatever is not named here counts, so that a new option is safe at first.
NO_PART = (
    *OUTSIDE,
    *("objective", "trainer.default_root_dir", "search", "model.search", "model.decision", "metrics"),
)
# What may differ between two runs of the same command
NO_MATTER = (*OUTSIDE, "trainer", "block_size", "data.download", "data.source.download", "callbacks.checkpoint")


def training_hash(config: DictConfig) -> str:
    """Names a training: two settled configs that agree in all that training depends on share the name."""
    settings = OmegaConf.to_container(config, resolve=True)
    counted = [f"{option}.={value!r}" for option, value in _values(settings) if not _is_of(option, NO_PART)]
    return hashlib.sha256("\n".join(sorted(counted)).encode()).hexdigest()[:16]


def changed(folder: Path, config: DictConfig) -> list[str]:
    """Options that the run in a folder has otherwise than this settled config, e.g. `model.gamma=1, now 0.5`.

    Options that only one of them has came or went with a version; those of NO_MATTER count for nothing.
    """
    file = folder / ".hydra" / "config.yaml"
    if not file.is_file():
        return []
    earlier, now = (dict(_values(OmegaConf.to_container(one, resolve=True))) for one in (OmegaConf.load(file), config))
    both = [option for option in now if option in earlier and not _is_of(option, NO_MATTER)]
    return [f"{option}={earlier[option]}, now {now[option]}" for option in both if earlier[option] != now[option]]


def check_unchanged(folder: Path, config: DictConfig) -> None:
    """Raises ValueError if a folder holds a run, whole or begun, with other settings than these."""
    if options := changed(folder, config):
        more = f" (and {len(options) - 1} more)" if len(options) > 1 else ""
        raise ValueError(
            f"{folder} holds a run with other settings, {options[0]}{more}, of the same command: what it names or the"
            " defaults have changed since; choose another name=, or remove that folder"
        )


def has_trained(folder: Path, training: str) -> bool:
    """Whether a run's checkpoint is what this training ends with."""
    file = folder / TRAINED
    return file.is_file() and file.read_text(encoding="utf-8") == training and (folder / LAST).is_file()


@contextmanager
def shared_training(config: DictConfig) -> Iterator[None]:
    """Inside, a job of a multirun goes on from `checkpoints/last.ckpt` of its folder, if it is there: its own, or that
    of a job with the same training. Two at the same time: the second waits for the first.

    (It could as well train beside it, to the same weights. Waiting takes no longer and leaves the processor to others.)
    """
    if not is_multirun() or config.checkpoint is not None:
        yield
        return
    folder, training = Path(config.run), training_hash(config)
    check_unchanged(folder, config)
    place = Path(HydraConfig.get().sweep.dir).absolute() / ".trainings" / training  # holds the folder of who trains
    waiting = f"{folder.name} waits for a job with the same training"
    with held(place, waiting, needless=lambda: has_trained(_trainer_of(place), training)):
        earlier = _trainer_of(place)
        if has_trained(folder, training) or not has_trained(earlier, training):
            place.write_text(os.path.relpath(folder, place.parent), encoding="utf-8")
        else:
            _adopt(earlier, folder)
            print(f"{folder.name} takes over the training of {earlier.name}")
        if (folder / LAST).is_file():
            config.checkpoint = "last"
        yield


def _trainer_of(place: Path) -> Path:
    """The folder of the run that trains, or has trained."""
    return place.parent / place.read_text(encoding="utf-8")


def _adopt(earlier: Path, folder: Path) -> None:
    """Takes over what a training leaves: the checkpoint, its curves, its pictures."""
    (folder / LAST).parent.mkdir(parents=True, exist_ok=True)
    keep_as(earlier / LAST, folder / LAST)
    for file in (earlier / "metrics.csv", *(earlier / "figures").glob("samples_*.png")):
        if file.is_file():
            with replacing(folder / file.relative_to(earlier)) as partial:
                shutil.copyfile(file, partial)
    if (folder / "metrics.csv").is_file():
        write_bytes(folder / TAKEN_OVER, earlier.name.encode())


def curves_taken_over(folder: Path) -> Iterator[tuple[dict[str, float], int]]:
    """Rows of metrics.csv, with images seen, that another run has logged: loggers that keep their own have none yet."""
    mark = folder / TAKEN_OVER
    if not mark.is_file():
        return
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {name: float(value) for name, value in row.items() if value and name != COUNT}, int(row[COUNT])
    mark.unlink()


def _is_of(option: str, parts: tuple[str, ...]) -> bool:
    """Whether an option is one of these, or lies below one."""
    return f"{option}.".startswith(tuple(f"{part}." for part in parts))


def _values(node: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below a node by its option in full."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _values(value, f"{above}.{key}" if above else str(key))
    else:
        yield above, node
