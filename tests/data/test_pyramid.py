"""The pyramid: mean pooling of whole numbers, decoded once, on disk as safe as the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semigan_pl.data import pyramid as module
from semigan_pl.data.cache import ImageCache
from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.pyramid import pool, pyramid, smaller_resolutions
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.growth import Phase, ProgressiveSchedule

FORMAT = ImageFormat(16, 1, "stretch", None)


@pytest.fixture
def source(tmp_path: Path) -> ImageFiles:
    rng = np.random.default_rng(0)
    paths = [tmp_path / "images" / f"{number}.png" for number in range(6)]
    paths[0].parent.mkdir()
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    return ImageFiles("six", ["x"], [0] * 6, [""] * 6, [str(path) for path in paths])


def loaded(source: ImageFiles, folder: Path, memory_mb: float = 0, smaller: Any = (4, 8)) -> dict[int, np.ndarray]:
    cache = ImageCache(str(folder / "cache"), memory_mb)
    return pyramid(cache.load(source, np.arange(len(source)), FORMAT, smaller), smaller)


def pooled(images: np.ndarray, resolution: int) -> np.ndarray:
    """Reference: means over squares of the full size, half up."""
    n, c, size, _ = images.shape
    k = size // resolution
    means = images.astype(np.float64).reshape(n, c, resolution, k, resolution, k).mean((3, 5))
    return np.floor(means + 0.5).astype(np.uint8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 100, 2**22]))
def test_every_copy_is_pooled_from_the_full_size(seed: int, at_once: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    copies = {r: np.zeros((5, 3, r, r), dtype=np.uint8) for r in (4, 16)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIXELS_AT_ONCE", at_once)  # blocks of images, a smaller last one too
        pool(images, copies)
    for resolution, copy in copies.items():
        np.testing.assert_array_equal(copy, pooled(images, resolution))


def test_rounding_does_not_add_up() -> None:
    """A mean of 0.25 stays 0, where its halves of 0 and 0.5 -> 1 would give 0.5 -> 1, level from level."""
    images = np.zeros((1, 1, 8, 8), dtype=np.uint8)
    images[..., 2::4, ::2] = 2
    copies = {r: np.empty((1, 1, r, r), dtype=np.uint8) for r in (2, 4)}
    pool(images, copies)
    assert copies[4][0, 0, :, 0].tolist() == [0, 1, 0, 1]
    assert not copies[2].any()


def test_the_largest_images_do_not_overflow() -> None:
    images = np.full((1, 1, 1024, 1024), 255, dtype=np.uint8)
    copies = {4: np.empty((1, 1, 4, 4), dtype=np.uint8)}
    pool(images, copies)
    assert (copies[4] == 255).all()


@pytest.mark.parametrize("memory_mb", [0, 1])
def test_every_file_is_decoded_once(
    source: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_mb: int
) -> None:
    read, positions = source.read, []

    def remembered(position: int) -> Image.Image:
        positions.append(position)
        return read(position)

    monkeypatch.setattr(source, "read", remembered)
    levels = loaded(source, tmp_path, memory_mb)
    assert positions == list(range(6))
    assert sorted(levels) == [4, 8, 16]
    for resolution, images in levels.items():
        assert isinstance(images, np.memmap) == (memory_mb == 0)
        np.testing.assert_array_equal(images, pooled(levels[16], resolution))
    if not memory_mb:
        again = loaded(source, tmp_path, smaller=(4,))
        assert (len(positions), sorted(again)) == (6, [4, 16])


def test_files_stand_beside_the_cache_and_are_made_once(source: ImageFiles, tmp_path: Path) -> None:
    loaded(source, tmp_path, smaller=())
    (whole,) = (tmp_path / "cache").iterdir()
    loaded(source, tmp_path)
    names = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert set(names) == {whole.name, f"{whole.stem}_4px.npy", f"{whole.stem}_8px.npy"}
    (tmp_path / "cache" / f"{whole.stem}_4px.npy").unlink()
    np.testing.assert_array_equal(loaded(source, tmp_path)[4], pooled(np.load(whole), 4))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert after == names | {f"{whole.stem}_4px.npy": after[f"{whole.stem}_4px.npy"]}


def test_a_low_phase_does_not_read_the_full_size(source: ImageFiles, tmp_path: Path) -> None:
    """The full-size file is overwritten after the copies were made: nobody notices who opens them."""
    before = {r: images.copy() for r, images in loaded(source, tmp_path).items()}
    (whole,) = (path for path in (tmp_path / "cache").iterdir() if "px" not in path.name)
    np.save(whole, np.zeros_like(before[16]))
    after = loaded(source, tmp_path)
    assert not after[16].any()
    assert all(np.array_equal(after[r], before[r]) for r in (4, 8))


def test_an_interrupted_build_leaves_no_copy(
    source: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(images: np.ndarray, copies: dict[int, np.ndarray]) -> None:
        copies[4][:3] = 1
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "pool", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loaded(source, tmp_path)
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the full size, which was whole


def test_memory_counts_the_copies(source: ImageFiles, tmp_path: Path) -> None:
    six = 6 * 16 * 16 / 2**20
    assert not isinstance(loaded(source, tmp_path, six, smaller=())[16], np.memmap)
    assert isinstance(loaded(source, tmp_path, six)[16], np.memmap)
    assert not isinstance(loaded(source, tmp_path, six * (1 + 1 / 4 + 1 / 16))[16], np.memmap)


def test_resolutions_of_a_schedule() -> None:
    schedule = ProgressiveSchedule([Phase(4 << n, 0, 10, 2, 0.1) for n in range(3)])
    assert smaller_resolutions(schedule, 16) == [4, 8]
    assert smaller_resolutions(None, 30) == []
    for image_size in (32, 24):
        with pytest.raises(ValueError, match=rf"growth\.last=16 is not data\.image_size={image_size}, .* power of two"):
            smaller_resolutions(schedule, image_size)
