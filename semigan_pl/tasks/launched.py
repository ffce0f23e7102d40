"""Runs on several machines: what torchrun or SLURM has started, and what it takes for its processes to agree."""

from __future__ import annotations

import os
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment


class Launch(NamedTuple):
    """The processes that a launcher has started, this one among them."""

    by: str  # what started them: torchrun or SLURM
    processes: int  # on all machines
    here: int  # on this machine
    place: int  # of this process among those of its machine, from 0


def launch() -> Launch | None:
    """What this process belongs to; None: nobody has started others beside it.

    Raises ValueError where SLURM does not say how many there are on each machine.
    """
    if TorchElasticEnvironment.detect():
        names = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
        return _unless_alone("torchrun", *(int(os.environ[name]) for name in names))
    if SLURMEnvironment.detect():  # not in an interactive shell
        n = int(os.environ["SLURM_NTASKS"])
        if n > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ValueError(f"SLURM starts {n} tasks and does not say how many per machine: add --ntasks-per-node")
        return _unless_alone(
            "SLURM", n, int(os.environ.get("SLURM_NTASKS_PER_NODE", 1)), int(os.environ.get("SLURM_LOCALID", 0))
        )
    return None


def _unless_alone(by: str, processes: int, here: int, place: int) -> Launch | None:
    return Launch(by, processes, here, place) if processes > 1 else None


def is_first_here() -> bool:
    """Whether this process is the one of its machine that reads the images first."""
    started = launch()
    return started is None or started.place == 0


def check_agreement(config: DictConfig, started: Launch) -> None:
    """Raises ValueError unless all processes of a launcher do the same, once, in one folder.

    They compose their configs each for itself. Numbers of processes in `config.trainer` are settled.
    """
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        raise ValueError(
            f"a multirun cannot be started by {started.by}: every process would go through all jobs by itself;"
            f" start each job of its own, or the multirun without {started.by}"
        )
    if not any(override.startswith("run=") for override in hydra.overrides.task):
        raise ValueError(
            f"the {started.processes} processes of {started.by} have to agree on a folder: add run=FOLDER, on a disk"
            " that all machines see"
        )
    trainer = config.trainer
    devices = trainer.devices if isinstance(trainer.devices, (int, str)) else len(trainer.devices)
    if int(devices) * trainer.num_nodes != started.processes:
        raise ValueError(
            f"{started.by} has started {started.processes} processes, {started.here} of them on this machine, but"
            f" trainer.devices={devices} on trainer.num_nodes={trainer.num_nodes} machines are"
            f" {int(devices) * trainer.num_nodes}: type trainer.devices={started.here}"
            f" trainer.num_nodes={started.processes // started.here}"
        )
    if config.data.get("download"):
        raise ValueError(
            f"data.download=true would let {started.processes} processes fetch into the same folder at once: fetch"
            f" first, with task=check and without {started.by}"
        )
