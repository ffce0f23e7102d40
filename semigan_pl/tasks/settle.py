"""Which config a task really uses, and in which folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from semigan_pl.checkpoints import read_checkpoint
from semigan_pl.checks import whole
from semigan_pl.detector import Detector, load_detector
from semigan_pl.settings import checkpoint_path, continued, inherit, option_of
from semigan_pl.tasks.multirun import is_multirun


def settle(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """The config that this training really uses, and what to type to get it."""
    typed = typed_overrides()
    config = inherited(config)
    folder = Path(config.run)
    if config.checkpoint == "last":
        return config, continued(OmegaConf.load(_overrides(folder)), typed)
    if _overrides(folder).is_file() and not holds(folder, typed):
        raise ValueError(f"{config.run} holds another run: choose another run=FOLDER, or continue it: checkpoint=last")
    return config, typed


def holds(folder: Path, typed: Iterable[str]) -> bool:
    """Whether a folder holds a run of the same command, in whatever order it was typed."""
    file = _overrides(folder)
    return file.is_file() and sorted(without_sweep(OmegaConf.load(file))) == sorted(typed)


def _overrides(folder: Path) -> Path:
    return folder / ".hydra" / "overrides.yaml"


def typed_overrides() -> list[str]:
    """What to type for this run alone: of a multirun's job without the sweep, whose values Hydra has put in."""
    return without_sweep(HydraConfig.get().overrides.task)


def without_sweep(overrides: Iterable[Any]) -> list[str]:
    """Overrides but for `+sweep=`."""
    return [str(override) for override in overrides if option_of(str(override)) != "sweep"]


def inherited(config: DictConfig) -> DictConfig:
    """The config of `checkpoint=` with what was typed on top; without a checkpoint the config as it is."""
    typed = typed_overrides()
    path = checkpoint_path(config)
    if path is None:
        return config
    merged = inherit(config, read_checkpoint(path)["config"], typed)
    if not is_multirun() and not any(override.startswith(("run=", "name=")) for override in typed):
        merged.run = renamed(config.run, merged.name)
    return merged


def renamed(folder: str, name: str) -> str:
    """The folder of a run, with the name of the checkpoint's experiment in place of the default one's."""
    path = Path(folder)
    with suppress(OSError):
        path.rmdir()  # Hydra made it under the other name
    return str(path.parent.parent / name / path.name)


def check_fresh(file: Path) -> None:
    """Raises ValueError if the run's folder holds this result already: nothing is overwritten, nothing mixed."""
    if file.exists():
        raise ValueError(f"{file} is there already: choose another run=FOLDER, or remove it")


def check_typed(config: DictConfig, heeded: Sequence[str], ignored: Sequence[str], why: str) -> None:
    """Raises ValueError if an option was typed that this task does not go by, with the reason.

    Args:
        heeded: options, and beginnings of options that end in a dot.
        ignored: exceptions from the beginnings.
    """
    for key, override in typed_options().items():
        known = any(key == option or (option.endswith(".") and key.startswith(option)) for option in heeded)
        if not known or key in ignored:
            raise ValueError(f"{override} does not go with task={config.task}: {why}")


def typed_options() -> dict[str, str]:
    """Option -> what was typed."""
    return {option_of(override): override for override in HydraConfig.get().overrides.task}


def detector_of(config: DictConfig) -> Detector:
    """The detector that `checkpoint=` names, where `trainer=` and `block_size=` want it.

    Raises FileNotFoundError where none is named or it is not there, ValueError where it is none.
    """
    path = checkpoint_path(config)
    if path is None:
        raise FileNotFoundError(
            f"task={config.task} needs a trained detector: add checkpoint=FOLDER/checkpoints/last.ckpt"
        )
    detector = load_detector(path, "cpu" if config.trainer.accelerator == "cpu" else None)
    if "block_size" in typed_options():  # else as it was tested: another size may change the last bits
        detector.module.block_size = whole("block_size", config.block_size, least=1)
    return detector
