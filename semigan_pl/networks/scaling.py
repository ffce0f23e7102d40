"""Which image sizes strided convolutions can reach, and how."""

from __future__ import annotations

SMALLEST, LARGEST = 16, 1024  # px
LEAST_START = 4  # px that the convolutions begin or end with; up to 7


def halvings(image_size: int) -> tuple[int, int]:
    """How an image is halved down to a few pixels: (pixels left, number of halvings), 4 to 7 of them left.

    16, 32, 64, ... px end at 4, 28 and 56 px at 7, 48 and 96 px at 6. Raises ValueError for any other size.
    """
    start, n = image_size, 0
    while start >= 2 * LEAST_START and start % 2 == 0:
        start, n = start // 2, n + 1
    if not (SMALLEST <= image_size <= LARGEST and LEAST_START <= start < 2 * LEAST_START):
        raise ValueError(
            f"data.image_size={image_size}: these networks halve an image down to 4, 5, 6 or 7 px; take 16, 28, 32, 64,"
            " 128 or another such size"
        )
    return start, n


def doubled_widths(width: int, n: int) -> list[int]:
    """Channels of `n` layers, each at half the size of the one before: they double, at most to 8 times."""
    return [width * 2 ** min(layer, 3) for layer in range(n)]
