"""A bar that appears only where one would wait."""

from __future__ import annotations

import pytest

from semigan_pl.progress import counted


def test_progress_bar_only_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(counted(5, "Reading", patience=60)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the captured stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert list(counted(5, "Reading", patience=0)) == [0, 1, 2, 3, 4]
    assert "Reading" in capsys.readouterr().err
