"""Whether W&B's server is used: keys, modes, and servers that do not answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from semigan_pl.loggers import wandb_session
from semigan_pl.loggers.wandb_session import start
from tests.loggers.offline_run import OfflineRun

KEY = "0123456789abcdef" * 2 + "01234567"


def settings(**changes: Any) -> Any:
    """What W&B's settings say of a user whom it does not know."""
    unknown = {"mode": "online", "api_key": None, "identity_token_file": None, "base_url": "https://api.wandb.ai"}
    return SimpleNamespace(**{**unknown, **changes})


@contextmanager
def server(status: int) -> Iterator[str]:
    """The address of a server on this machine that answers everything with `status`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Not to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def deaf() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("typed", "environment", "has_key", "mode"),
    [
        (None, None, False, "offline"),
        (None, None, True, "online"),
        (None, "offline", True, "offline"),
        (None, "disabled", False, "disabled"),
        ("online", "offline", True, "online"),
        ("offline", "online", True, "offline"),
        ("disabled", None, True, "disabled"),
    ],
)
def test_what_is_typed_wins_then_the_environment_then_the_key(
    typed: str | None, environment: str | None, has_key: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("WANDB_MODE", environment)
    assert wandb_session._mode(typed, settings(api_key=KEY if has_key else None)) == mode


def test_wandb_offline_is_respected(nobody: Path) -> None:
    """The command `wandb offline` leaves the mode in W&B's settings."""
    assert wandb_session._mode(None, settings(mode="offline", api_key=KEY)) == "offline"


def test_online_without_a_key_goes_on_offline(nobody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wandb_session._mode("online", settings()) == "offline"
    assert "W&B has no API key" in capsys.readouterr().err


def test_a_key_in_netrc_counts_for_its_server_only(nobody: Path) -> None:
    assert not wandb_session.has_key(settings())
    (nobody / ".netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    assert wandb_session.has_key(settings())
    assert not wandb_session.has_key(settings(base_url="https://wandb.example.org"))


@pytest.mark.usefixtures("nobody")
def test_any_answer_counts_but_of_a_server_that_is_down() -> None:
    for status in (200, 401, 404):
        with server(status) as address:
            wandb_session.connect(settings(base_url=address), 5)
    with server(503) as address, pytest.raises(OSError, match="503"):
        wandb_session.connect(settings(base_url=address), 5)
    with pytest.raises(OSError, match="refused"):
        wandb_session.connect(settings(base_url=deaf()), 5)


def record(folder: Path) -> OfflineRun:
    """A session in W&B's own choice of mode."""
    run = start(folder, None, connect_timeout=5, upload_timeout=5, project="tests")
    run.log({"images_seen": 64})
    run.finish()
    return OfflineRun(folder)


@pytest.mark.usefixtures("nobody")
def test_a_server_that_cannot_be_reached_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", deaf())
    found = record(tmp_path / "run")
    assert found.history[0]["images_seen"] == 64
    error = capsys.readouterr().err
    assert error.startswith("warning: W&B is not available (http://127.0.0.1:")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("nobody")
def test_a_server_that_answers_nonsense_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """W&B itself gives up here, and holds the id of the run until it is told to let go."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with server(404) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        found = record(tmp_path / "run")
    assert found.history[0]["images_seen"] == 64
    assert capsys.readouterr().err.count("warning: W&B is not available") == 1
