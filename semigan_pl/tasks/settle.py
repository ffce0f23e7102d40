"""Which config a task really uses, and in which folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from semigan_pl.settings import checkpoint_path, continued, inherit, read_checkpoint


def settle(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """The config that this training really uses, and what to type to get it."""
    typed = list(HydraConfig.get().overrides.task)
    config = inherited(config)
    earlier = Path(config.run) / ".hydra" / "overrides.yaml"
    if config.checkpoint == "last":
        return config, continued(OmegaConf.load(earlier), typed)
    if earlier.is_file() and list(OmegaConf.load(earlier)) != typed:
        raise ValueError(f"{config.run} holds another run: choose another run=FOLDER, or continue it: checkpoint=last")
    return config, typed


def inherited(config: DictConfig) -> DictConfig:
    """The config of `checkpoint=` with what was typed on top; without a checkpoint the config as it is."""
    typed = list(HydraConfig.get().overrides.task)
    path = checkpoint_path(config)
    if path is None:
        return config
    merged = inherit(config, read_checkpoint(path)["config"], typed)
    if not any(override.startswith(("run=", "name=")) for override in typed):
        merged.run = renamed(config.run, merged.name)
    return merged


def renamed(folder: str, name: str) -> str:
    """The folder of a run, with the name of the checkpoint's experiment in place of the default one's."""
    path = Path(folder)
    with suppress(OSError):
        path.rmdir()  # Hydra made it under the other name
    return str(path.parent.parent / name / path.name)


def device(config: DictConfig) -> str | None:
    """Where `trainer=` wants a detector to run; None: on a GPU if there is one."""
    return "cpu" if config.trainer.accelerator == "cpu" else None


def required_checkpoint(config: DictConfig) -> Path:
    """The checkpoint that `checkpoint=` names. Raises FileNotFoundError where none is named or it is not there."""
    path = checkpoint_path(config)
    if path is None:
        raise FileNotFoundError(
            f"task={config.task} needs a trained detector: add checkpoint=FOLDER/checkpoints/last.ckpt"
        )
    return path
