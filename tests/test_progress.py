"""How far, how fast, how long still: a bar that appears only where one would wait, lines in a log file."""

from __future__ import annotations

from typing import Any

import pytest

from semigan_pl import progress
from semigan_pl.progress import counted, duration, following, progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is: [seconds]."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_progress_bar_only_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(counted(5, "Reading", patience=60)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the captured stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert list(counted(5, "Reading", patience=0)) == [0, 1, 2, 3, 4]
    said = capsys.readouterr().err
    assert "Reading" in said
    assert "5 of 5" in said


def test_a_log_file_gets_a_line_a_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(1_000_000, "Predicting", "images", done=400_000) as advance:
        for _ in range(40):
            clock[0] += 10.0
            advance(2100)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "Predicting: 412,600 of 1,000,000 images, 210 images/s, 47 min left"
    assert lines[5] == "Predicting: 475,600 of 1,000,000 images, 210 images/s, 42 min left"


def test_the_rate_is_that_of_the_last_minutes(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(1000, "Counting") as advance:
        for step in range(200):
            clock[0] += 10.0
            advance(1 if step < 100 else 4)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "Counting: 492 of 1,000, 0.4/s, 21 min left"


def test_durations() -> None:
    said = [duration(seconds) for seconds in (0, 89.4, 100, 3600, 5400, 4680 * 2, 3 * 86400)]
    assert said == ["0 s", "89 s", "2 min", "60 min", "1.5 h", "2.6 h", "3.0 d"]


def test_what_others_do_is_counted() -> None:
    done, asked = [0, 3, 3, 10, 12], list[int]()
    advances = list[int]()

    def count() -> int:
        asked.append(1)
        return done[min(len(asked), len(done)) - 1]

    with following(count, advances.append, every=0.001):
        while len(asked) < 5:
            pass
    assert sum(advances) == 12
    assert advances[:5] == [0, 3, 0, 7, 2]


def test_a_quick_loop_is_not_slowed_down(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    """Updates cost 20 µs: of a million quick ones few are passed on, the last one always."""
    updates = list[int]()

    def noted(self: Any, task: Any, completed: int) -> None:
        updates.append(completed)

    monkeypatch.setattr(progress.Progress, "update", noted)
    for _ in counted(1000, "Reading"):
        clock[0] += 0.011
    assert updates[-1] == 1000
    assert 90 <= len(updates) <= 112
