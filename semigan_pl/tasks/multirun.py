"""Where a multirun was started: says what its jobs tell, wherever they run, and lists in the end what failed."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, ClassVar, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from semigan_pl.atomic import write_json
from semigan_pl.progress import duration

NOTES = ".notes_"  # what folders of notes begin with
STALE = 30 * 86400.0  # seconds without a note after which nobody works any more
TICK = 0.5  # seconds between two looks at what the jobs have told


class Note(NamedTuple):
    """What a job tells at its end."""

    folder: str
    said: str
    failed: bool
    seconds: float | None  # null: it was finished already


class Multirun(Callback):
    """Begins to listen where a multirun is started.

    Args:
        notes: the folder in which every job leaves a note; null: a multirun that begins chooses it, and hands it to its
            jobs as an override, which every launcher takes along.
    """

    begun: ClassVar[Listener | None] = None  # of the multirun that this process has started

    def __init__(self, notes: str | None) -> None:
        self.notes = notes

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        direction = OmegaConf.select(config, "hydra.sweeper.direction")  # of Optuna's sweeper
        if direction is not None and getattr(direction, "name", direction) != "maximize":
            sys.exit("error: this sweeper would look for the worst detector: add hydra.sweeper.direction=maximize")
        folder = Path(config.hydra.sweep.dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for notes in folder.glob(f"{NOTES}*"):  # of one that was killed
            if time.time() - notes.stat().st_mtime > STALE:
                shutil.rmtree(notes, ignore_errors=True)
        OmegaConf.save(config, folder / "multirun.yaml")  # as Hydra's own sweeper does and Optuna's does not
        Multirun.begun = Listener(folder / f"{NOTES}{secrets.token_hex(4)}", number_of_jobs(config.hydra))
        quoted = str(Multirun.begun.notes).replace("'", r"\'")
        with read_write(config), open_dict(config):
            config.hydra.overrides.hydra.append(f"hydra.callbacks.multirun.notes='{quoted}'")
        Multirun.begun.start()


def number_of_jobs(hydra: DictConfig) -> int | None:
    """Of a multirun; None where its sweeper decides on the way."""
    if (trials := OmegaConf.select(hydra, "sweeper.n_trials")) is not None:
        return int(trials)
    if not str(hydra.sweeper._target_).endswith(BasicSweeper.__name__):
        return None
    words = [f"{option}={values}" for option, values in (hydra.sweeper.params or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*words, *hydra.overrides.task])
    return len(BasicSweeper.split_arguments(overrides, None)[0])


def leave(notes: str, number: int, note: Note) -> None:
    """Called by a job, in whatever process."""
    write_json(Path(notes) / f"{number:06d}.json", note._asdict())
    if Multirun.begun is not None:  # the same process: said before the next job begins
        Multirun.begun.look()


class Listener(Thread):
    """Says what the jobs note down, as soon as they do: not every launcher shows what its jobs say.

    Args:
        notes: the folder of the notes.
        jobs: how many there will be, where that is known.
    """

    def __init__(self, notes: Path, jobs: int | None) -> None:
        super().__init__(daemon=True)
        self.notes, self.jobs = notes, jobs
        self.told: dict[str, Note] = {}
        self._over, self._looking, self._begun = Event(), Lock(), time.monotonic()

    def run(self) -> None:
        while not self._over.wait(TICK):
            self.look()

    def end(self) -> list[Note]:
        """Removes the notes; returns those of the jobs that failed, in their order."""
        self._over.set()
        self.join()
        self.look()
        shutil.rmtree(self.notes, ignore_errors=True)
        return [note for _, note in sorted(self.told.items()) if note.failed]

    def look(self) -> None:
        """Says what is new."""
        with self._looking:
            for file in sorted(self.notes.glob("[0-9]*.json")):
                if file.name not in self.told:
                    note = self.told[file.name] = Note(**json.loads(file.read_text(encoding="utf-8")))
                    self._say(note)

    def _say(self, note: Note) -> None:
        if note.failed:
            print(f"error: {note.said} ({note.folder})", file=sys.stderr, flush=True)
        place = f"{len(self.told)} of {self.jobs}" if self.jobs else str(len(self.told))
        outcome = "failed" if note.failed else note.said
        parts = [outcome, *([] if note.seconds is None else [duration(note.seconds)]), *self._to_go()]
        print(f"[{place}] {Path(note.folder).name}: {', '.join(parts)}", flush=True)

    def _to_go(self) -> list[str]:
        """By the pace of the jobs that had something to do, however many run at a time."""
        worked = sum(note.seconds is not None for note in self.told.values())
        left = 0 if self.jobs is None else self.jobs - len(self.told)
        if not (worked and left > 0):
            return []
        return [f"about {duration((time.monotonic() - self._begun) / worked * left)} to go"]


def is_multirun() -> bool:
    """Whether this is a job of a multirun."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


@contextmanager
def failures_listed() -> Iterator[None]:
    """Lists, however a multirun ends, the jobs that failed, and raises SystemExit(1) where there are any."""
    Multirun.begun, failed = None, list[Note]()
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the second of the first
        if (listener := Multirun.begun) is not None:
            listener.look()
            done = sum(not note.failed for note in listener.told.values())
            of = f" of {listener.jobs}" if listener.jobs else ""
            print(f"\nStopped, {done}{of} jobs are finished. To continue: the same command", file=sys.stderr)
        raise
    finally:
        if Multirun.begun is not None:
            failed = Multirun.begun.end()
        if failed:
            lines = [f"{note.said} ({note.folder})" for note in failed]
            print("\nFailed, and tried again by the same command:", *lines, sep="\n  ", file=sys.stderr)
    if failed:
        sys.exit(1)
