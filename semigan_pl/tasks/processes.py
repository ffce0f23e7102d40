"""Many processes on one machine: each gets the settled config and its rank, and reads no command line again.

(Lightning's own launcher for Hydra starts the children with the same words, so that a child of a multirun would start
the whole multirun. With the variables that torchrun sets, Lightning takes a process for one that was launched already.)
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_all_start_methods, get_start_method, parent_process, set_start_method
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, open_dict
from pytorch_lightning.utilities import rank_zero_only
from torch.multiprocessing.spawn import ProcessException, start_processes

from semigan_pl.checks import whole
from semigan_pl.command_line import BAD_INPUT, sentence
from semigan_pl.tasks.launched import Launch, check_agreement, launch

STRATEGY = {"_target_": "semigan_pl.strategy.PlayerwiseDDP"}
Work = Callable[[dict[str, Any]], None]


def settle_devices(config: DictConfig) -> None:
    """Puts numbers in the place of `auto`: as many processes as a launcher has started, else one for every GPU of this
    machine, without one two on the CPU.

    Raises ValueError where the machine has fewer, or no GPU at all, or a launcher has started others.
    """
    trainer, started = config.trainer, launch()
    if trainer.accelerator in ("gpu", "cuda") and not _sees_a_gpu():
        raise ValueError(
            f"trainer.accelerator={trainer.accelerator}, and torch sees no GPU on this machine: add trainer=cpu (which"
            " network.size=small and a smaller data.image_size suit)"
        )
    with open_dict(trainer):
        if (machines := trainer.get("num_nodes", 1)) == "auto":
            machines = started.processes // started.here if started else 1
        trainer.num_nodes = whole("trainer.num_nodes", machines, least=1)
    alone = started is None and trainer.num_nodes == 1 and trainer.devices in (1, "1")
    if not (alone and _strategy(trainer) == "auto"):
        _settle_machine(trainer, started)
    if started:
        check_agreement(config, started)
    elif machines > 1:
        raise ValueError(f"trainer.num_nodes={machines} needs torchrun or SLURM, which start the run on each machine")


def _sees_a_gpu() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _settle_machine(trainer: DictConfig, started: Launch | None) -> None:
    """How many processes run on this machine, on what, and how they share their gradients."""
    n_gpus = torch.cuda.device_count() if trainer.accelerator != "cpu" and torch.cuda.is_available() else 0
    trainer.accelerator = "gpu" if n_gpus else "cpu"
    if trainer.devices == "auto":
        trainer.devices = started.here if started else n_gpus or 2
    there, unit = (n_gpus, "GPUs") if n_gpus else (os.cpu_count() or 1, "processor cores")
    n = _count(trainer.devices)
    if n > max(there, 2):  # two processes are a fair trial on any machine
        raise ValueError(f"trainer.devices={trainer.devices} asks for {n} processes, but there are {there} {unit}")
    if n * trainer.num_nodes > 1 and _strategy(trainer) == "auto":
        with open_dict(trainer):
            trainer.strategy = STRATEGY


def _strategy(trainer: DictConfig) -> Any:
    return trainer.get("strategy", "auto")


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return not getattr(rank_zero_only, "rank", 0)


def processes_to_start(config: DictConfig) -> int:
    """How many processes the run needs beside this one; 0: it runs in this process."""
    n = _count(config.trainer.devices)
    return 0 if n == 1 or launch() else n


def _count(devices: Any) -> int:
    """Processes on this machine: `trainer.devices` is a number, or a list of GPUs."""
    if isinstance(devices, (int, str)) and str(devices).isdecimal() and int(devices) > 0:
        return int(devices)
    if isinstance(devices, ListConfig) and len(devices):
        return len(devices)
    raise ValueError(f"trainer.devices={devices} must be a number of processes, 1 or more, a list of GPUs, or auto")


def run_in_processes(work: Work, config: dict[str, Any], n: int) -> None:
    """Calls `work(config)` in `n` processes, which find each other; returns when all have ended.

    Raises ValueError with the sentence of the first that meets bad input.
    """
    if get_start_method() not in get_all_start_methods():
        set_start_method("spawn", force=True)  # joblib's own has no meaning in a process that joblib has not started
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        try:
            start_processes(_process, args=(work, config, n, _free_port(), said), nprocs=n, start_method="spawn")
        except ProcessException as error:
            if said.is_file():
                raise ValueError(said.read_text(encoding="utf-8")) from error
            raise


def _process(rank: int, work: Work, config: dict[str, Any], n: int, port: int, said: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        WORLD_SIZE=str(n),
        LOCAL_WORLD_SIZE=str(n),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        GROUP_RANK="0",
        TORCHELASTIC_RUN_ID="semigan_pl",  # by this Lightning knows that it need not launch anything
    )
    torch.set_num_threads(max(1, torch.get_num_threads() // n))  # the cores are shared
    try:
        work(config)
        leave_together()
    except BAD_INPUT as error:
        with suppress(OSError):
            said.write_text(sentence(error, []), encoding="utf-8")
        raise


def leave_together() -> None:
    """Ends what connects the processes; to be called by each of them when its work is done.

    All at once, since torch 2.5 waits for ever for one that has left. And before Python ends, not with it: gloo's
    threads may still hold a tensor, to let go of it they ask for an interpreter, and one that is ending kills them and
    the process with them ("terminate called without an active exception", now and then).
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _end_with_parent() -> None:
    """A killed run leaves nobody behind who goes on training, and writing into a folder that is being continued."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
