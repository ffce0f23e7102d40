"""The contact sheet: outlines and the size of the page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from semigan_pl.report.contact_sheet import COLUMNS, MARGIN, PITCH, TITLE, Strip, contact_sheet, edges


def test_the_outline_of_a_pixel_has_four_sides() -> None:
    inside = np.zeros((3, 4), dtype=bool)
    inside[1, 2] = True
    sides = {tuple(sorted(map(tuple, side))) for side in edges(inside).tolist()}
    assert sides == {((2, 1), (2, 2)), ((3, 1), (3, 2)), ((2, 1), (3, 1)), ((2, 2), (3, 2))}


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4)])
def test_an_outline_at_the_border_is_closed(shape: tuple[int, int]) -> None:
    sides = edges(np.ones(shape, dtype=bool))
    assert len(sides) == 2 * sum(shape)
    assert (sides.reshape(-1, 2).min(axis=0).tolist(), sides.reshape(-1, 2).max(axis=0).tolist()) == (
        [0, 0],
        [shape[1], shape[0]],
    )
    _, visits = np.unique(sides.reshape(-1, 2), axis=0, return_counts=True)
    assert set(visits.tolist()) == {2}  # every corner joins two sides


def test_nothing_inside_has_no_outline() -> None:
    assert edges(np.zeros((2, 2), dtype=bool)).shape == (0, 2, 2)


def test_a_sheet_shows_pixels_and_outlines() -> None:
    grey, colour = np.full((1, 4, 4), 255, dtype=np.uint8), np.zeros((3, 4, 4), dtype=np.uint8)
    colour[1] = 255
    inside = np.zeros((4, 4), dtype=bool)
    inside[1:3, 1:3] = True
    grey[0, 0, 0] = 0
    strips = [
        Strip("normal: $x$ (1)", False, [grey], [None], []),
        Strip("anomalous", True, [colour, colour], [inside, None], ["a", "b"]),
    ]
    sheet = Image.open(io.BytesIO(contact_sheet("what the network sees", strips))).convert("RGB")
    width, height = 2 * MARGIN + COLUMNS * PITCH, 2 * MARGIN + TITLE + sum(strip.height for strip in strips)
    assert sheet.size == pytest.approx((200 * width, 200 * height), abs=1)

    def pixel(x: float, y: float) -> tuple[int, ...]:
        """At a place in inches."""
        found = sheet.getpixel((round(200 * x), round(200 * y)))
        assert isinstance(found, tuple)
        return found

    top = MARGIN + 2 * TITLE
    assert pixel(MARGIN + 0.2, top + 0.2) == (0, 0, 0)  # the first pixel, a quarter of an inch wide
    assert pixel(MARGIN + 0.3, top + 0.3) == (255, 255, 255)
    top += strips[0].height
    assert pixel(MARGIN + 0.1, top + 0.5) == (0, 255, 0)
    red, _, blue = pixel(MARGIN + 0.25, top + 0.5)  # on the left side of the outline
    assert red > 150
    assert blue < 100
    assert pixel(MARGIN + PITCH + 0.25, top + 0.5) == (0, 255, 0)  # the second image has none
