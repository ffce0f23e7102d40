"""Grids of digits: which digits they show, where the anomaly stands, and what an image depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from numpy.typing import NDArray

from semigan_pl.data.image_source import ArrayImages
from semigan_pl.data.ir_mnist import DigitGrids, ir_mnist
from tests.conftest import compose_config
from tests.data.test_sources import real_data, write_idx

SIZE = 4  # of a made digit


def made_digits(anomalies: int = 10) -> ArrayImages:
    """100 training and 100 test digits, so many of each a 3; a digit is of one grey value, which is its position."""
    classes = np.array([*range(10)] * 20)
    spare = np.flatnonzero(classes == 3)
    classes[np.concatenate([spare[anomalies:10], spare[10 + anomalies :]])] = 4
    images = np.arange(200, dtype=np.uint8)[:, None, None] + np.zeros((200, SIZE, SIZE), dtype=np.uint8)
    return ArrayImages("made", images, [str(digit) for digit in range(10)], classes, ["train"] * 100 + ["test"] * 100)


OPTIONS: dict[str, Any] = {
    "name": "ir_mnist",
    "train_images": 20,
    "train_anomalies": 10,
    "test_images": 30,
    "test_anomaly_share": 0.5,
    "grid": 5,
    "anomaly_digit": 3,
    "seed": 0,
}


def grids(digits: ArrayImages | None = None, **options: Any) -> DigitGrids:
    return ir_mnist(digits=digits or made_digits(), **(OPTIONS | options))


def cells(source: DigitGrids, position: int) -> NDArray[np.int64]:
    """Which made digit stands where, (grid, grid)."""
    image = np.asarray(source.read(position))
    first = image[::SIZE, ::SIZE]
    np.testing.assert_array_equal(np.kron(first, np.ones((SIZE, SIZE), dtype=np.uint8)), image)  # whole digits
    return first.astype(np.int64)


def test_digits_of_each_part_and_role() -> None:
    source = grids()
    counts = {(part, label): int(((source.parts == part) & (source.classes == label)).sum())
              for part in ("train", "test") for label in (0, 1)}  # fmt: skip
    assert counts == {("train", 0): 20, ("train", 1): 10, ("test", 0): 15, ("test", 1): 15}
    assert source.class_names == ["normal", "with 3"]
    shown: dict[tuple[str, int], set[int]] = {key: set() for key in counts}
    for position in range(len(source)):
        drawn = cells(source, position)
        assert drawn.shape == (5, 5)
        of_test = source.parts[position] == "test"
        assert ((drawn >= 100) == of_test).all()  # no test digit in a training image, and none the other way round
        is_three = source.digits.classes[drawn] == 3
        assert is_three.any() == bool(source.classes[position])
        shown[str(source.parts[position]), int(source.classes[position])] |= set(source.digits.classes[drawn].flat)
        np.testing.assert_array_equal(np.asarray(source.mask(position)), np.kron(is_three, np.full((SIZE, SIZE), 255)))
    assert all(digits == set(range(10)) - ({3} if label == 0 else set()) for (_, label), digits in shown.items())


@pytest.mark.parametrize(("grid", "anomalies"), [(1, 10), (2, 1)])
def test_an_anomalous_image_is_never_without_anomaly(grid: int, anomalies: int) -> None:
    source = grids(made_digits(anomalies), grid=grid)
    found = [np.asarray(source.mask(position)).any() for position in range(len(source))]
    assert found == (source.classes == 1).tolist()


def test_an_image_depends_on_nothing_but_its_path() -> None:
    source, other = grids(), grids(train_images=3, train_anomalies=0, test_images=50, test_anomaly_share=0.4)
    for path in ("test/anomalous/7", "test/normal/0", "train/normal/2", "test/anomalous/7"):
        positions = source.paths.index(path), other.paths.index(path)
        assert source.read(positions[0]).tobytes() == other.read(positions[1]).tobytes()
        assert source.mask(positions[0]).tobytes() == other.mask(positions[1]).tobytes()
    images = {source.read(position).tobytes() for position in range(len(source))}
    reseeded = grids(seed=1)
    assert len(images | {reseeded.read(position).tobytes() for position in range(len(source))}) == 2 * len(source)


def test_fingerprint() -> None:
    darker, relabelled = made_digits(), made_digits()
    darker.images[150] = 0
    relabelled.classes[0] = 3
    changes = [grids(grid=4), grids(anomaly_digit=5), grids(seed=1), grids(darker), grids(relabelled)]
    assert len({source.fingerprint([1, 2]) for source in (grids(), *changes)}) == 1 + len(changes)
    assert grids().fingerprint([1, 2]) == grids(test_images=8).fingerprint([1, 2]) != grids().fingerprint([2, 1])


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"data\.test_anomaly_share=-0\.5 must lie in \[0, 1\]"):
        grids(test_anomaly_share=-0.5)
    with pytest.raises(ValueError, match=r"data\.grid=0 must be 1 or more"):
        grids(grid=0)
    with pytest.raises(ValueError, match=r"data\.anomaly_digit=12: the train part of made must hold this digit and"):
        grids(anomaly_digit=12)


def test_the_config_reads_idx_files(tmp_path: Path) -> None:
    write_idx(tmp_path / "idx", zipped=True)  # training digits 0 to 4, test digits 0 to 2
    small = ["data.anomaly_digit=1", "data.train_images=10", "data.train_anomalies=6", "data.test_images=4"]
    config = compose_config("data=ir_mnist", f"data.root={tmp_path / 'idx'}", "data.known_anomalies=5", *small)
    data = instantiate(config.data.module, _convert_="all")
    assert data.source.read(0).size == (308, 308)
    assert data.summary()["counts"]["test"] == {"normal": 2, "with 1": 2}
    assert [len(positions) for positions in data.splits] == [9, 4, 1, 1, 4]


def test_real_digits() -> None:
    config = compose_config("data=ir_mnist", f"data.root={real_data('mnist')}")
    source = instantiate(config.data.source, _convert_="all")
    assert [int((source.parts == part).sum()) for part in ("train", "test")] == [5000, 1000]
    anomalous = np.flatnonzero(source.classes == 1)
    assert len(anomalous) == 500
    assert set(source.parts[anomalous]) == {"test"}
    assert source.read(0).size == (308, 308)
    covered = [np.asarray(source.mask(int(position))).mean() / 255 for position in anomalous]
    # 1,010 of the 10,000 test digits are a 3; 500 x 121 draws have a standard deviation of 0.0012
    assert np.mean(covered) == pytest.approx(0.101, abs=0.005)
