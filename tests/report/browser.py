"""A page as a browser sees it: errors, width, images, pictures. For tests; skips them where there is no browser.

The page is shown in a frame of the wanted width (a browser's own window cannot be as narrow as a phone) through
`srcdoc`: that has the origin of the page around it, whose script may therefore measure, while the page's own security
policy stays in force.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

DESKTOP, PHONE = 1280, 390  # px
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=10000", "--enable-logging=stderr"),
)
FRAME = """<!doctype html><meta charset="utf-8">{base}
<style>
body {{ margin: 0 }}
iframe {{ display: block; border: 0; width: {width}px; height: {height}px; color-scheme: light dark }}
</style>
<iframe srcdoc="{page}"></iframe><pre id="seen"></pre>
<script>
addEventListener("load", async () => {{
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement
  page.querySelectorAll("details").forEach(part => part.open = true)
  const images = [...page.images]
  images.forEach(image => image.loading = "eager")  // one that is far down would not be fetched
  const missing = images.filter(image => !image.complete)
  await Promise.all(missing.map(image => new Promise(done => {{ image.onload = image.onerror = done }})))
  document.getElementById("seen").textContent = JSON.stringify({{
    dark: page.defaultView.matchMedia("(prefers-color-scheme: dark)").matches,
    width: root.clientWidth, content_width: root.scrollWidth, content_height: root.scrollHeight,
    images: images.length, broken_images: images.filter(image => image.naturalWidth === 0).map(image => image.alt),
  }})
}})
</script>
"""


class Seen(NamedTuple):
    """What a browser says of a page."""

    errors: list[str]  # every message in the console: what the page's security policy forbade is among them
    dark: bool
    width: int  # px
    content_width: int  # px, without what lies in parts of the page that scroll by themselves
    content_height: int  # px
    images: int
    broken_images: list[str]  # their alternative texts

    @property
    def scrolls_sideways(self) -> bool:
        return self.content_width > self.width


def look_at(page: Path, width: int = DESKTOP, dark: bool = False) -> Seen:
    """Opens an HTML file at a width in px. Skips the test where there is no browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # it may still be writing
        frame = _frame(page, Path(folder), width, 900)
        out, log = _run(Path(folder), dark, "--dump-dom", frame.as_uri())
    found = re.search(r'<pre id="seen">(\{.*?\})</pre>', out, re.DOTALL)
    if found is None:
        raise RuntimeError(f"The browser did not show {page}: {log[-2000:]}")
    messages = re.findall(r':CONSOLE[:(]\d+\)?\] "(.*?)", source: ', log, re.DOTALL)
    return Seen(errors=messages, **json.loads(html.unescape(found[1])))


def screenshot(page: Path, png: Path, width: int = DESKTOP, height: int = 900, dark: bool = False) -> None:
    """Writes the top `height` px of the page as a picture. Skips the test where there is no browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        frame, raw = _frame(page, Path(folder), width, height), Path(folder) / "shot.png"
        window = f"--window-size={max(width, 600)},{height + 200}"
        _, log = _run(Path(folder), dark, window, f"--screenshot={raw}", frame.as_uri())
        if not raw.is_file():
            raise RuntimeError(f"The browser took no picture of {page}: {log[-2000:]}")
        with Image.open(raw) as image:
            image.crop((0, 0, width, height)).save(png)


def _frame(page: Path, folder: Path, width: int, height: int) -> Path:
    base = f'<base href="{html.escape(page.resolve().as_uri())}">'  # so that the page still finds what lies beside it
    content = html.escape(page.read_text(encoding="utf-8"))
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(base=base, page=content, width=width, height=height), encoding="utf-8")
    return frame


def _run(folder: Path, dark: bool, *arguments: str) -> tuple[str, str]:
    """What the browser printed, and its log."""
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser is None:
        pytest.skip(f"no browser on PATH ({', '.join(BROWSERS)}): nothing to open the page with")
    look = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [browser, *OPTIONS, look, f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=120)
    return done.stdout, done.stderr
