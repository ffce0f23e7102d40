"""A run in Weights & Biases: curves against images seen, pictures, a table of test images, the summary."""

from __future__ import annotations

import functools
import shlex
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.utilities import rank_zero_only

from semigan_pl.loggers.base import RunLogger
from semigan_pl.loggers.contents import command, example_rows, figures, images_seen, measured, numbers, samples
from semigan_pl.loggers.score_charts import histogram_rows, roc_rows
from semigan_pl.loggers.wandb_charts import HISTOGRAM, ROC
from semigan_pl.loggers.wandb_session import first_line, staging_in, start, warn
from semigan_pl.report.run_files import RunFiles, read_run

if TYPE_CHECKING:
    from wandb import Run

MODES = ("online", "offline", "disabled", None)
Method = Callable[..., None]


def best_effort(method: Method) -> Method:
    """On rank 0 only; the first failure costs one warning, and nothing more is sent after it."""

    @rank_zero_only
    @functools.wraps(method)
    def guarded(self: WandbRun, *args: Any, **kwargs: Any) -> None:
        if self.failed:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # whatever it is, it must not cost the training
            self.failed = True
            warn(f"W&B failed ({first_line(error)}): from here on this run is not sent to it.")

    return guarded


class WandbRun(RunLogger):
    """One W&B run per run, named after its folder; the jobs of a multirun share a group, named after theirs.

    Args:
        folder: the run's folder; W&B's files, and the id under which a continued run goes on, lie in `folder/wandb`.
        project, entity, tags: as in wandb.init.
        group: null: found from the folder.
        mode: online, offline or disabled; null: WANDB_MODE, else offline unless an API key is set.
        connect_timeout: seconds to wait for the server before going on offline.
        upload_timeout: seconds to wait for the upload at the end; what is missing can be sent by `wandb sync`.
    """

    def __init__(
        self,
        folder: str,
        project: str,
        entity: str | None,
        group: str | None,
        tags: list[str],
        mode: str | None,
        connect_timeout: float,
        upload_timeout: float,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"logger.wandb.mode={mode} is unknown: use online, offline, disabled or null")
        self.folder = Path(folder).absolute()
        self.options: dict[str, Any] = {"project": project, "entity": entity, "tags": tags}
        self.options |= {"name": self.folder.name, "group": group or sweep(self.folder)}
        self.mode = mode
        self.timeouts: dict[str, float] = {"connect_timeout": connect_timeout, "upload_timeout": upload_timeout}
        self.failed = self.complete = False
        self._run: Run | None = None

    def _started(self) -> Run:
        """The W&B run, started when there is something to send: by then the options are known to make sense."""
        if self._run is None:
            self._run = start(self.folder, self.mode, **self.timeouts, **self.options)
            self._run.define_metric("images_seen")
            self._run.define_metric("*", step_metric="images_seen")
            if self._run.url:
                print(f"W&B: {self._run.url}")
        return self._run

    @best_effort
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        config = vars(params) if isinstance(params, Namespace) else params
        typed = {"command": line} if (line := command(self.folder)) else {}
        self._started().config.update({**config, **typed}, allow_val_change=True)

    @best_effort
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """`step` is images_seen."""
        self._started().log({"images_seen": step, **metrics})

    @best_effort
    def log_run(self, folder: Path, metrics: dict[str, Any]) -> None:
        """Sends all numbers as the summary, the pictures, the score's charts and the table of examples."""
        import wandb

        self.complete = True
        session, run, end = self._started(), read_run(folder, metrics), images_seen(metrics)
        session.summary.update(numbers(metrics))
        session.log({"images_seen": end, **measured(run)})
        for count, path in samples(run).items():
            session.log({"images_seen": count, "samples": wandb.Image(str(path))})
        pictures = {f"figures/{name}": wandb.Image(str(path)) for name, path in figures(run).items()}
        session.log({"images_seen": end, **pictures})
        with staging_in(self.folder):
            if tables := _tables(run):  # last: a table asks the server, which may be gone by now
                session.log({"images_seen": end, **tables})

    @rank_zero_only
    def close(self) -> None:
        """Ends the W&B run, as failed unless `log_run` was reached."""
        run, self._run = self._run, None
        if run is None:
            return
        import wandb

        try:
            run.finish(exit_code=0 if self.complete else 1)
        except Exception as error:  # TimeoutError: the server is gone
            if not self.failed:
                warn(f"W&B did not take everything ({type(error).__name__}): the rest is kept in the run's folder.")
            self.failed = True
            with suppress(Exception):
                wandb.teardown()  # else W&B tries again when Python exits
        place = Path(run.dir).parent
        if self.failed or place.name.startswith("offline-run"):
            print(f"W&B: to upload this run: wandb sync {shlex.quote(str(place))}")


def sweep(folder: Path) -> str | None:
    """The name of the multirun that a run's folder is a job of; Hydra leaves multirun.yaml beside its jobs."""
    return folder.parent.name if (folder.parent / "multirun.yaml").is_file() else None


def _tables(run: RunFiles) -> dict[str, Any]:
    """The ROC and the histogram, which W&B lays over those of other runs, and the examples."""
    import wandb

    tables = dict[str, Any]()
    for look, rows in ((ROC, roc_rows(run)), (HISTOGRAM, histogram_rows(run))):
        if rows:
            table = wandb.Table(list(look.named.values()), [list(row) for row in rows])
            tables[look.key] = wandb.plot_table(look.preset, table, look.named, look.strings)
    if examples := example_rows(run):
        cells = [[_cell(value) for value in row.values()] for row in examples]
        tables["examples"] = wandb.Table(list(examples[0]), cells)
    return tables


def _cell(value: Any) -> Any:
    import wandb
    from PIL import Image

    return wandb.Image(value) if isinstance(value, Image.Image) else value
