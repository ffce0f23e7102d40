"""A sweeper for Hydra that chooses gamma: `+sweep=recommend`, see semigan_pl/tasks/recommend.py.

Hydra takes sweepers from the namespace package hydra_plugins alone (which for that must have no __init__.py), and
imports all of them at every start: nothing heavy may be imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RecommendSweeper(Sweeper):
    """Launches the jobs that a recommendation asks for.

    Args:
        pilot: gamma of the runs that the contamination is estimated from.
        fractions: of 1 - estimate, gammas to try beside it.
        apart: gammas that are no further apart count as one.
        level: confidence of the estimate's interval.
        params: option -> value, as if it was typed; what is typed wins.
    """

    hydra_context: HydraContext  # these three as the base class names them, and Hydra calls setup before all else
    config: DictConfig
    launcher: Launcher

    def __init__(
        self, pilot: float, fractions: Sequence[float], apart: float, level: float, params: Mapping[str, Any]
    ) -> None:
        from semigan_pl.tasks.recommend import Settings

        self.settings = Settings(pilot, tuple(fractions), apart, level)
        self.params = params
        self.n_jobs = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from semigan_pl.tasks.recommend import recommend

        typed = [*(f"{option}={value}" for option, value in self.params.items()), *arguments]
        overrides = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(typed)
        recommend(overrides, self.settings, self.composed, self.launch)

    def composed(self, job: Sequence[str]) -> DictConfig:
        """The config of a job, `hydra` included."""
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(job))

    def launch(self, jobs: Sequence[Sequence[str]]) -> list[tuple[Path, Any]]:
        """Runs jobs to their end, by whichever launcher; returns the folder of each, and what its task returned.

        That they can be composed is known: they differ by two numbers from what `composed` has shown to be possible.
        """
        returned = self.launcher.launch(jobs, initial_job_idx=self.n_jobs)
        self.n_jobs += len(jobs)
        found = []
        for job in returned:
            assert job.hydra_cfg is not None
            found.append((Path(job.hydra_cfg.hydra.runtime.output_dir), job.return_value))
        return found
