"""The report in a browser; before that, that looking through a browser can find fault at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from semigan_pl.report import write_report
from tests.report.browser import DESKTOP, PHONE, look_at, screenshot

HEAD = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(body: str) -> Path:
        page = tmp_path / "page.html"
        page.write_text(HEAD + body, encoding="utf-8")
        return page

    return write


Write = Callable[[str], Path]


def test_a_sound_page_is_sound(written: Write) -> None:
    seen = look_at(written(f'<p>“Fine”</p><img src="{DOT}" alt="a dot"><div style="height: 3000px">'), width=PHONE)
    assert seen.errors == []
    assert (seen.width, seen.scrolls_sideways) == (PHONE, False)
    assert (seen.images, seen.broken_images) == (1, [])
    assert 3000 < seen.content_height < 3200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<script>document.title = 'x'</script>", "script"),
        ('<p style="color: red">red</p>', "style"),
        (f'<img src="{DOT}" alt="a dot">', "image"),
    ],
)
def test_what_the_policy_forbids_is_an_error(written: Write, body: str, words: str) -> None:
    errors = look_at(written(POLICY + body)).errors
    assert any("Content Security Policy" in error and words in error for error in errors)


def test_a_page_that_is_too_wide_scrolls(written: Write) -> None:
    page = written('<div style="width: 500px">wide</div>')
    assert look_at(page, width=PHONE).scrolls_sideways
    assert not look_at(page, width=DESKTOP).scrolls_sideways


def test_a_broken_image_is_counted(written: Write) -> None:
    far = '<div style="height: 9000px"></div>'
    images = ("data:image/png;base64,xxxx", "nowhere.png", DOT)
    tags = [f'<img loading="lazy" src="{source}" alt="{number}">' for number, source in enumerate(images)]
    seen = look_at(written(far + "".join(tags)))
    assert (seen.images, seen.broken_images) == (3, ["0", "1"])


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark(written: Write, dark: bool) -> None:
    style = "body { background: #fff } @media (prefers-color-scheme: dark) { body { background: #000 } }"
    page = written(f"<style>{style}</style>")
    assert look_at(page, dark=dark).dark == dark
    screenshot(page, page.with_suffix(".png"), PHONE, 300, dark)
    picture = imread(page.with_suffix(".png"))
    assert picture.shape[:2] == (300, PHONE)
    np.testing.assert_array_equal(picture[..., :3], 0 if dark else 1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_report(make_run: Callable[..., Path], width: int, dark: bool) -> None:
    seen = look_at(write_report(make_run(masks=True)), width, dark)
    assert seen.dark == dark
    assert seen.errors == []
    assert not seen.scrolls_sideways, f"{seen.content_width} px on a page of {width}"
    assert seen.images > 30
    assert seen.broken_images == []
