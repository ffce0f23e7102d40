"""scikit-learn's 1,797 handwritten digits, 8 x 8: real images that need no download."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from semigan_pl.data.image_source import ArrayImages


def digits() -> ArrayImages:
    """The test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), grey values 0..16."""
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)
    return ArrayImages("digits", images, [str(digit) for digit in range(10)], bunch.target, [""] * len(images))
