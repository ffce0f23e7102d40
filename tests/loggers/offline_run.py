"""What an offline run of W&B wrote, read back: its file is a LevelDB log of protocol buffers.

(W&B's own reader, wandb.sdk.internal.datastore, is gone since 0.30.)
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

BLOCK, HEADER = 32768, 7
FULL, FIRST, LAST = 1, 2, 4


class OfflineRun:
    """One session of a run: the only `offline-run-*` folder in `folder/wandb`, or the latest of them."""

    def __init__(self, folder: Path) -> None:
        wandb.teardown()  # waits until W&B's service has written everything
        self.folder = max((folder / "wandb").glob("offline-run-*"), key=lambda place: place.stat().st_mtime_ns)
        (file,) = self.folder.glob("*.wandb")
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.axes: dict[str, str] = {}
        self.artifacts: list[Any] = []
        self.exit_code: int | None = None  # None: the run was never ended
        for record in map(Record.FromString, payloads(file.read_bytes())):
            self._take(record)

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.run = record.run
            self.config |= values(record.run.config.update)
        elif kind == "config":
            self.config |= values(record.config.update)
        elif kind == "history":
            self.history.append(values(record.history.item))
        elif kind == "summary":
            self.summary |= values(record.summary.update)
        elif kind == "metric":
            self.axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "artifact":
            self.artifacts.append(record.artifact)
        elif kind == "exit":
            self.exit_code = record.exit.exit_code

    def table(self, key: str) -> dict[str, Any]:
        """The columns and data of a logged table."""
        (row,) = (row for row in self.history if f"{key}.path" in row)
        return json.loads(self.file(row, key).read_text())  # type: ignore[no-any-return]

    def file(self, row: dict[str, Any], key: str) -> Path:
        """The media file that a row of the history refers to."""
        return self.folder / "files" / row[f"{key}.path"]


def values(items: Iterable[Any]) -> dict[str, Any]:
    """Updates as a dict; a nested key is joined by dots."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def payloads(content: bytes) -> Iterator[bytes]:
    """The records of a log: blocks of 32 KiB, a record's parts marked as full, first, middle or last."""
    assert content[:4] == b":W&B"
    place, parts = HEADER, b""
    while place + HEADER <= len(content):
        room = BLOCK - place % BLOCK
        if room < HEADER:
            place += room
            continue
        checksum, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        part = content[place + HEADER : place + HEADER + length]
        assert zlib.crc32(part, zlib.crc32(bytes([kind]))) == checksum, "the file is damaged, or not closed"
        place += HEADER + length
        parts = part if kind in (FULL, FIRST) else parts + part
        if kind in (FULL, LAST):
            yield parts
