"""Grids of handwritten digits in which one digit is the anomaly: pixel truth from MNIST alone.

The experiment ("IR-MNIST") is that of Kimura and Yanagihara's poster and of AVID (Sabokrou et al. 2018): an image is a
grid of 11 x 11 digits, 308 px; training images are without the digit 3, test images have it. AVID trains on 5,000 and
tests on 1,000. The images here are drawn anew from MNIST. Ours are: the share of anomalous test images, how their cells
are drawn, the truth (the whole cell of the digit), and, by `train_anomalies`, anomalous images to hide or to know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semigan_pl.data.image_source import ArrayImages, ImageSource
from semigan_pl.data.protocol import generator

RECIPE = 1  # raise it when the same parameters give other cells: cached images are known by their fingerprint


class DigitGrids(ImageSource):
    """Grids of single digits, composed when they are read; training grids of training digits, test grids of test ones.

    Normal images draw every cell from the digits that are not the anomaly, anomalous ones from all ten, each digit of
    the data set equally likely; where the anomaly is not among them, it takes the place of one. An image depends on
    the digits, `grid`, `anomaly_digit`, `seed` and its path ("test/normal/7") alone.
    """

    has_masks = True

    def __init__(
        self, digits: ArrayImages, grid: int, anomaly_digit: int, seed: int, *facts: Any, **more_facts: Any
    ) -> None:
        super().__init__(*facts, **more_facts)
        self.anomalies = _positions_by_part(digits, anomaly_digit, digits.classes == anomaly_digit)
        self.normals = _positions_by_part(digits, anomaly_digit, digits.classes != anomaly_digit)
        self.digits = digits
        self.grid = grid
        self.anomaly_digit = anomaly_digit
        self.seed = seed

    def read(self, position: int) -> Image.Image:
        return Image.fromarray(self._composed(self.digits.images[self._cells(position)]))

    def mask(self, position: int) -> Image.Image:
        """White in the cells of the anomaly, black elsewhere."""
        anomalous = self.digits.classes[self._cells(position)] == self.anomaly_digit  # (grid * grid,)
        size = self.digits.images.shape[1:]
        return Image.fromarray(self._composed(np.multiply.outer(anomalous, np.full(size, 255)).astype(np.uint8)))

    def fingerprint(self, positions: Iterable[int]) -> str:
        looks = (RECIPE, self._digest_of_digits, self.grid, self.anomaly_digit, self.seed)
        return hashlib.sha256(repr((looks, [self.paths[position] for position in positions])).encode()).hexdigest()

    @cached_property
    def _digest_of_digits(self) -> str:
        """Hash of all digits with their labels and parts: which one a cell shows depends on all of them."""
        everything = (self.digits.images, self.digits.classes, self.digits.parts)
        return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in everything)).hexdigest()

    def _cells(self, position: int) -> NDArray[np.int64]:
        """Which digit stands in each cell, row by row, (grid * grid,)."""
        rng = generator(self.seed, f"digit grid {self.paths[position]}")
        part = str(self.parts[position])
        normals, anomalies = self.normals[part], self.anomalies[part]
        if not self.classes[position]:
            return rng.choice(normals, self.grid**2)
        cells = rng.choice(np.concatenate([normals, anomalies]), self.grid**2)
        if not np.isin(cells, anomalies).any():
            cells[rng.integers(len(cells))] = rng.choice(anomalies)
        return cells

    def _composed(self, cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One image (grid * h, grid * w) of grid * grid cells (h, w)."""
        height, width = cells.shape[1:]
        rows = cells.reshape(self.grid, self.grid, height, width).transpose(0, 2, 1, 3)
        return rows.reshape(self.grid * height, self.grid * width)


def ir_mnist(
    name: str,
    digits: ArrayImages,
    train_images: int,
    train_anomalies: int,
    test_images: int,
    test_anomaly_share: float,
    grid: int,
    anomaly_digit: int,
    seed: int,
) -> DigitGrids:
    """Images of the classes "normal" and, for the digit 3, "with 3".

    Args:
        digits: square grey images with training and test parts, labelled 0 to 9.
        train_images: normal images in the training part.
        train_anomalies: anomalous images in the training part, from which hidden and known anomalies are drawn.
        test_images: images in the test part, both kinds.
        test_anomaly_share: share of anomalous images among them.
        grid: cells in a row and in a column.

    Raises:
        ValueError: the share or the grid makes no sense, or a part lacks the anomaly or anything else.
    """
    if not 0 <= test_anomaly_share <= 1:
        raise ValueError(f"data.test_anomaly_share={test_anomaly_share} must lie in [0, 1]: it is a share")
    if grid < 1:
        raise ValueError(f"data.grid={grid} must be 1 or more cells in a row")
    n_anomalies = round(test_anomaly_share * test_images)
    counts = {"train": (train_images, train_anomalies), "test": (test_images - n_anomalies, n_anomalies)}
    rows = [(part, label, number) for part in counts for label in (0, 1) for number in range(counts[part][label])]
    paths = [f"{part}/{('normal', 'anomalous')[label]}/{number}" for part, label, number in rows]
    labels, parts = [label for _, label, _ in rows], [part for part, *_ in rows]
    class_names = ["normal", f"with {anomaly_digit}"]
    return DigitGrids(digits, grid, anomaly_digit, seed, name, class_names, labels, parts, paths)


def _positions_by_part(
    digits: ArrayImages, anomaly_digit: int, wanted: NDArray[np.bool_]
) -> dict[str, NDArray[np.int64]]:
    found = {part: np.flatnonzero(wanted & (digits.parts == part)) for part in ("train", "test")}
    for part, positions in found.items():
        if not len(positions):
            raise ValueError(
                f"data.anomaly_digit={anomaly_digit}: the {part} part of {digits.name} must hold this digit and others"
            )
    return found
