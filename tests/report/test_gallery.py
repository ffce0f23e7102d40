"""The gallery stands alone, ranks its cards, and survives odd scores, sizes and hostile names."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.report.gallery import LARGEST_TILE, Card, Gallery, histogram, write_gallery
from semigan_pl.report.style import DARK, render
from tests.report.browser import DESKTOP, PHONE, look_at

HOSTILE = '<img src=x onerror="alert(1)">&{{ 7 * 7 }}'
VOID = {"meta", "link", "img", "br", "source", "wbr"}


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def tiles(self) -> list[Image.Image]:
        """The cards' pictures, in the order of the page; the chart is inside <picture>, before them."""
        images = [found for tag, found in self.tags if tag == "img" and "title" in found]
        addresses = [(found["src"] or "").partition("base64,")[2] for found in images]
        return [Image.open(io.BytesIO(base64.b64decode(address))) for address in addresses]


def _pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _card(rank: int, path: str = "", decision: bool | None = None, n_tiles: int = 1, side: int = 8) -> Card:
    tiles = {name: _pixels(side, side, rank) for name in ("input", "reconstruction", "overlay")[:n_tiles]}
    return Card(rank, path or f"photos/{rank}.png", 10 / rank, tiles, decision)


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the words alone: drawing is what takes the time."""
    monkeypatch.setattr("semigan_pl.report.gallery.render", lambda *_: b"png")


def test_the_page_says_what_it_was_given(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).gamma(2, 1, 500)
    cards = [_card(1, "photos/deep/scratch.png", True, 3), _card(2, "other.png", False, 3)]
    command = "python run.py 'data.known_list=a b.csv' && true"
    facts, commands = {"detector": "semigan of 6 May"}, {"Confirm, then train again:": command}
    gallery = Gallery("New images", ["One.", "Two."], cards, facts, commands, scores, 4.0, has_overlays=True)
    path = tmp_path / "new" / "gallery.html"
    assert write_gallery(path, gallery) == path
    page = Page(path)
    assert "One. Two." in page.text
    assert "semigan of 6 May" in page.text
    assert command in page.text
    assert "1 score 10 ▲ anomalous photos/deep/scratch.png" in page.text
    assert "2 score 5 normal other.png" in page.text
    assert "From left to right: input, reconstruction, overlay." in page.text
    assert "99.5 % of normal pixels" in page.text
    assert "Scores of all 500 images" in page.text


def test_the_page_stands_alone(tmp_path: Path) -> None:
    gallery = Gallery("x", [], [_card(1, n_tiles=3), _card(2, side=80)], scores=np.arange(5.0), threshold=2.0)
    page = Page(write_gallery(tmp_path / "gallery.html", gallery))
    sources = [value or "" for _, found in page.tags for name, value in found.items() if name in ("src", "srcset")]
    assert len(sources) == 2 + 4  # the chart twice
    assert all(source.startswith("data:image/") for source in sources)
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    assert "script" not in {tag for tag, _ in page.tags}
    policy = [found["content"] for tag, found in page.tags if "http-equiv" in found]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_cards_are_read_once_and_shown_by_rank(tmp_path: Path) -> None:
    def cards() -> Iterator[Card]:
        yield from (_card(rank) for rank in (3, 1, 2))

    page = Page(write_gallery(tmp_path / "gallery.html", Gallery("x", [], cards())))
    for rank, tile in enumerate(page.tiles, start=1):
        np.testing.assert_array_equal(np.asarray(tile), _pixels(8, 8, rank))
    assert "3 images, the most suspicious first" in page.text


@pytest.mark.parametrize("shape", [(64, 30), (30, 65), (256, 256), (900, 600), (3, 2000)])
def test_tiles_of_any_size(tmp_path: Path, shape: tuple[int, int]) -> None:
    card = Card(1, "a.png", 1.0, {"input": _pixels(*shape)})
    tile = Page(write_gallery(tmp_path / "gallery.html", Gallery("x", [], [card]))).tiles[0]
    assert max(tile.size) == min(max(shape), LARGEST_TILE)
    assert tile.format == ("PNG" if max(shape) <= 64 else "JPEG")  # pixels of a thumbnail are exact
    if tile.format == "PNG":
        np.testing.assert_array_equal(np.asarray(tile), _pixels(*shape))


@pytest.mark.parametrize("n_cards", [0, 1, 200])
def test_any_number_of_cards(tmp_path: Path, n_cards: int) -> None:
    page = Page(write_gallery(tmp_path / "x.html", Gallery("x", [], [_card(n + 1) for n in range(n_cards)])))
    assert len(page.tiles) == n_cards
    assert {0: "No images", 1: "One image", 200: "200 images"}[n_cards] in page.text
    assert ("There is no image to show." in page.text) == (n_cards == 0)


def test_a_hundred_photographs_take_a_few_megabytes(tmp_path: Path) -> None:
    smooth = np.asarray(Image.fromarray(_pixels(24, 18)).resize((480, 640)))  # as detailed as a photograph
    tiles = dict.fromkeys(["input", "reconstruction", "overlay"], smooth)
    page = write_gallery(tmp_path / "x.html", Gallery("x", [], [Card(n, "a", 1.0, tiles) for n in range(100)]))
    assert page.stat().st_size < 6e6


@pytest.mark.usefixtures("no_drawing")
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    undecodable = os.fsdecode(b"photos/\xff.png")
    cards = [_card(1, f"{HOSTILE}/{HOSTILE}"), _card(2, undecodable), _card(3, "/"), _card(4, "C:\\photos\\a.png")]
    cards.append(Card(5, "a", float("nan"), {HOSTILE: _pixels(4, 4)}, details={HOSTILE: HOSTILE}))
    gallery = Gallery(HOSTILE, [HOSTILE], cards, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}, np.ones(3))
    page = Page(write_gallery(tmp_path / "gallery.html", gallery))
    assert not any(name.startswith("on") for _, found in page.tags for name in found)
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 6
    assert f"{HOSTILE}/{HOSTILE}" in page.text
    assert "photos/\\udcff.png" in page.text
    assert "C:\\photos\\a.png" in page.text
    assert "49" not in page.text


@pytest.mark.parametrize("scores", [[], [np.nan, np.inf]])
def test_without_a_score_there_is_no_chart(tmp_path: Path, scores: list[float]) -> None:
    gallery = Gallery("x", [], [], scores=np.array(scores), threshold=1.0)
    assert "img" not in {tag for tag, _ in Page(write_gallery(tmp_path / "x.html", gallery)).tags}


@pytest.mark.parametrize("threshold", [None, 0.5, -1e300])
@pytest.mark.parametrize("scores", [[1.0], [0.0] * 300, [-1e300, 1e300, np.nan], np.geomspace(1e-9, 1e9, 200)])
def test_scores_of_any_size_are_drawn(scores: list[float], threshold: float | None) -> None:
    assert render(histogram(np.array(scores), threshold), DARK).startswith(b"\x89PNG")


def test_the_gallery_in_a_browser(tmp_path: Path) -> None:
    long = "/".join(["a_very_long_folder_name_without_any_space_in_it"] * 6) + "/" + "x" * 120 + ".png"
    cards = [
        _card(1, long, True, 3, 80),
        _card(12345, HOSTILE, False, 1),
        Card(3, "b", 1e-300, {"input": _pixels(9, 90)}),
    ]
    facts, commands = {"a" * 80: "b" * 200}, {"c" * 200: "d" * 200}
    gallery = Gallery("t" * 100, ["u" * 100], cards, facts, commands, np.arange(300.0), 200.0, has_overlays=True)
    page = write_gallery(tmp_path / "gallery.html", gallery)
    for width, dark in ((DESKTOP, False), (PHONE, True)):
        seen = look_at(page, width, dark)
        assert (seen.errors, seen.broken_images, seen.images) == ([], [], 6)
        assert not seen.scrolls_sideways
