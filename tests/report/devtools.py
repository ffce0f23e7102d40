"""A browser that is told what to do: real clicks, any width, dark or light. Skips the test where there is no browser.

Chromium's DevTools protocol over a pipe: messages in JSON, each ended by a zero byte.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import BROWSERS, DESKTOP

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
HIGH = 20  # numbers of files that 3 and 4 cannot take the place of
SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))))"


class Page:
    """One tab."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._unread, self._number = to, back, b"", 0
        self._session: str | None = None
        self._events = list[dict[str, Any]]()

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends one, and waits for what it gives."""
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            part = os.read(self._back, 1 << 20)
            if not part:
                raise EOFError("the browser has ended")
            self._unread += part
        message, self._unread = self._unread.split(b"\0", 1)
        return dict(json.loads(message))

    def begin(self, width: int, dark: bool) -> None:
        """An empty tab of a width in px."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Waits until all scripts have run."""
        self.command("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message())

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression, or of what it promises."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the last element that matches."""
        self.value(f"[...document.querySelectorAll('{selector}')].at(-1).scrollIntoView({{block: 'center'}})")
        self.value(SETTLED)
        box = f"[...document.querySelectorAll('{selector}')].at(-1).getBoundingClientRect()"
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.value(SETTLED)
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.value(SETTLED)

    def complaints(self) -> list[str]:
        """What stands in the console: errors, and what the page's security policy forbade."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(event["params"]) for event in self._events if event.get("method") in kinds]


@contextmanager
def browser(width: int = DESKTOP, dark: bool = False) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with the block."""
    path = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if path is None:
        pytest.skip(f"no browser on PATH ({', '.join(BROWSERS)}): nothing to open the page with")
    (its_in, to), (back, its_out) = os.pipe(), os.pipe()
    own = [fcntl.fcntl(number, fcntl.F_DUPFD, HIGH) for number in (its_in, its_out)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-c", START, *map(str, own), path, *OPTIONS, f"--user-data-dir={Path(folder)}"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, pass_fds=own, **silent) as process:  # type: ignore[call-overload]
            for number in (its_in, its_out, *own):
                os.close(number)
            try:
                page = Page(to, back)
                page.begin(width, dark)
                yield page
            finally:
                os.close(to)  # it ends by itself when nobody can tell it anything any more
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                os.close(back)
