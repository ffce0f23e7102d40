"""Which sizes strided convolutions reach."""

import pytest

from semigan_pl.networks.scaling import doubled_widths, halvings


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [(16, (4, 2)), (20, (5, 2)), (24, (6, 2)), (28, (7, 2)), (32, (4, 3)), (96, (6, 4)), (224, (7, 5)), (1024, (4, 8))],
)
def test_an_image_is_halved_to_four_to_seven_pixels(image_size: int, expected: tuple[int, int]) -> None:
    start, n = halvings(image_size)
    assert (start, n) == expected
    assert start * 2**n == image_size


@pytest.mark.parametrize("image_size", [-32, 0, 4, 8, 14, 18, 30, 36, 308, 2048])
def test_other_sizes_are_refused(image_size: int) -> None:
    with pytest.raises(ValueError, match=rf"data\.image_size={image_size}: .*take 16, 28, 32, 64, 128"):
        halvings(image_size)


def test_widths_double_to_eight_fold() -> None:
    assert doubled_widths(3, 6) == [3, 6, 12, 24, 24, 24]
