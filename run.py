"""One experiment, or another task on its results. `python run.py --help` lists the options."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from semigan_pl.command_line import BAD_INPUT, CONF, PATHS, in_full, sentence
from semigan_pl.tasks.multirun import failures_listed, is_multirun
from semigan_pl.tasks.quiet import quieten

in_one_sentence = False  # whether bad input ends in a sentence instead of a traceback: `cli` decides
TASKS = ("fit", "report", "predict", "audit", "check", "table", "compare", "wandb_workspace")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> float | None:
    config.run = HydraConfig.get().runtime.output_dir  # a multirun job's folder is Hydra's choice
    if is_multirun():
        from semigan_pl.tasks.sweep import job

        return job(task, config)  # the other jobs may take hours: it never raises
    try:
        return task(config)
    except BAD_INPUT as error:
        with suppress(OSError):
            Path(config.run).rmdir()  # if it is empty
        if in_one_sentence:
            sys.exit(f"error: {sentence(error, HydraConfig.get().overrides.task)}")
        raise


def task(config: DictConfig) -> float | None:
    """What `task=` names."""
    if config.task not in TASKS:
        raise ValueError(f"task={config.task} is unknown: use one of {', '.join(TASKS)}")
    # Only now: torch takes seconds, which a slip of the keys or a comparison need not wait for.
    module = import_module(f"semigan_pl.tasks.{config.task}")
    quieten()  # after Lightning has set up its logging
    return getattr(module, config.task)(config)  # type: ignore[no-any-return]


def cli() -> None:
    """Runs what is typed; bad input ends in one sentence, with HYDRA_FULL_ERROR=1 in a traceback."""
    global in_one_sentence
    if empty := [argument for argument in sys.argv[1:] if not argument or argument.rstrip("=") in PATHS]:
        sys.exit(f"error: {empty[0] or 'an argument'} is empty: give a value, or null for none")
    sys.argv[1:] = in_full(sys.argv[1:])
    in_one_sentence = not os.environ.get("HYDRA_FULL_ERROR")
    try:
        if in_one_sentence:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors of composing the config come here too
        with failures_listed():
            main()
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell has it; what is left has been said
    except BAD_INPUT as error:
        if not in_one_sentence:
            raise
        sys.exit(f"error: {sentence(error, [argument for argument in sys.argv[1:] if argument[0] != '-'])}")
    finally:
        if in_one_sentence:
            del os.environ["HYDRA_FULL_ERROR"]


if __name__ == "__main__":
    cli()
