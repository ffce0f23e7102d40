"""A bar on the screen for work that takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress


def counted(total: int, description: str, patience: float = 1.0) -> Iterator[int]:
    """Counts to `total`, with a bar on the screen from the moment that it takes longer than `patience` seconds."""
    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=total)
    appears = time.monotonic() + patience
    try:
        for row in range(total):
            yield row
            if progress.console.is_terminal and not progress.live.is_started and time.monotonic() > appears:
                progress.start()
            progress.update(task, completed=row + 1)
    finally:
        if progress.live.is_started:
            progress.stop()
