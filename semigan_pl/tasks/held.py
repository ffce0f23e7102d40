"""Locks between processes that end with who holds them."""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TICK = 0.5  # seconds between two looks at a lock that somebody else holds


@contextmanager
def held(path: Path, said: str, needless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Holds the lock `path`; where somebody else does, says so once and waits, until it is free or needless.

    The system itself ends a lock with the process that holds it: one that crashes, or is killed, blocks nobody. On a
    file system without locks everybody goes on at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if not _taken(file) and not needless():
            print(said, file=sys.stderr, flush=True)
            while not _taken(file) and not needless():
                time.sleep(TICK)
        yield


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
