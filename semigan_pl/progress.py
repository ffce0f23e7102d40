"""How far work that takes long has come, how fast it goes and when it ends: a bar on a screen, lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

EVERY = 60.0  # seconds between two lines where the screen is a file
TICK = 0.1  # seconds between two samples: rich keeps a thousand of them, and a fast loop must not wait for it
WINDOW = 600.0  # seconds that the rate is taken over: more than a few blocks of the slowest search
UNITS = ((48 * 3600, 86400, "d"), (90 * 60, 3600, "h"), (90, 60, "min"), (0, 1, "s"))  # from seconds on, one, name


@contextmanager
def progress_bar(
    total: int, description: str, unit: str = "", done: int = 0, patience: float = 0.0
) -> Iterator[Callable[[int], None]]:
    """Yields what is to be called with how many more are done, at most once at a time.

    Args:
        unit: what is counted, e.g. "images".
        done: of the total, before this began; they count for the bar and not for the rate.
        patience: seconds after which the bar appears.
    """
    parts = (TextColumn("{task.description}"), BarColumn(bar_width=None), _Pace(unit))
    screen = Console(stderr=True)
    looks: dict[str, Any] = {"console": screen, "transient": True, "expand": True}
    progress = Progress(*parts, **looks, speed_estimate_period=WINDOW, get_time=time.monotonic)
    progress.add_task(description, total=total, completed=done)
    (task,) = progress.tasks
    completed, begun = done, time.monotonic()
    sampled = said = begun

    def advance(by: int) -> None:
        nonlocal completed, sampled, said
        completed, now = completed + by, time.monotonic()
        if screen.is_terminal and not progress.live.is_started and now - begun >= patience:
            progress.start()
        if now - sampled >= TICK or completed == total:
            sampled = now
            progress.update(task.id, completed=completed)
        if not screen.is_terminal and now - said >= EVERY:
            said = now
            print(f"{description}: {pace(task, unit)}", file=sys.stderr, flush=True)

    try:
        advance(0)
        yield advance
    finally:
        if progress.live.is_started:
            progress.stop()


def counted(total: int, description: str, unit: str = "", patience: float = 1.0) -> Iterator[int]:
    """Counts to `total`, with a bar on the screen from the moment that it takes longer than `patience` seconds."""
    with progress_bar(total, description, unit, patience=patience) as advance:
        for row in range(total):
            yield row
            advance(1)


@contextmanager
def following(done: Callable[[], int], advance: Callable[[int], None], every: float = 0.5) -> Iterator[None]:
    """Asks how many are done, every so many seconds, while others do them."""
    ended = Event()

    def ask() -> None:
        before, last = 0, False
        while not last:
            last, now = ended.wait(every), done()
            advance(now - before)
            before = now

    asking = Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


def pace(task: Task, unit: str) -> str:
    """E.g. "12,000 of 1,000,000 images, 210 images/s, 1.3 h left"; the rate from the second sample on."""
    text = f"{task.completed:,.0f} of {task.total:,.0f} {unit}".rstrip()
    if not task.speed:
        return text
    rate = f"{task.speed:,.0f}" if task.speed >= 10 else f"{task.speed:.2g}"
    return f"{text}, {f'{rate} {unit}'.rstrip()}/s, {duration((task.remaining or 0) / task.speed)} left"


def duration(seconds: float) -> str:
    """E.g. 1.3 h."""
    size, name = next((size, name) for least, size, name in UNITS if seconds >= least)
    return f"{seconds / size:.{0 if name in ('s', 'min') else 1}f} {name}"


class _Pace(ProgressColumn):
    """The words beside the bar, which are those of a log file."""

    def __init__(self, unit: str) -> None:
        super().__init__(Column(no_wrap=True))
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(pace(task, self.unit))
