"""The cache: same images in memory and on disk, keyed by content, safe against being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.cache import ABANDONED_AFTER, ImageCache
from semigan_pl.data.digits import digits
from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.transforms import ImageFormat

FORMAT = ImageFormat(4, 1, "stretch", None)
ALL = np.arange(6)


@pytest.fixture
def source(tmp_path: Path) -> ImageFiles:
    paths = [tmp_path / "images" / f"{number}.png" for number in range(6)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        Image.new("L", (4, 4), 10 * number).save(path)
    return ImageFiles("six", ["x"], [0] * 6, [""] * 6, [str(path) for path in paths])


def on_disk(folder: Path) -> ImageCache:
    return ImageCache(str(folder / "cache"), memory_mb=0)


def values(images: np.ndarray) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_memory_and_disk_hold_the_same(source: ImageFiles, tmp_path: Path) -> None:
    positions = np.array([4, 1, 2])
    in_memory = ImageCache(str(tmp_path / "unused"), memory_mb=1).load(source, positions, FORMAT)
    mapped = on_disk(tmp_path).load(source, positions, FORMAT)
    assert values(in_memory) == values(mapped) == [40, 10, 20]
    assert isinstance(mapped, np.memmap)
    assert not (tmp_path / "unused").exists()


def test_second_load_decodes_nothing(source: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(tmp_path).load(source, ALL, FORMAT)
    monkeypatch.setattr(source, "read", lambda position: pytest.fail("decoded again"))
    assert values(on_disk(tmp_path).load(source, ALL, FORMAT)) == [0, 10, 20, 30, 40, 50]


def test_changed_content_of_the_same_size_and_time_is_noticed(source: ImageFiles, tmp_path: Path) -> None:
    on_disk(tmp_path).load(source, ALL, FORMAT)
    path = Path(source.paths[3])
    before = path.stat()
    Image.new("L", (4, 4), 99).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert values(on_disk(tmp_path).load(source, ALL, FORMAT)) == [0, 10, 20, 99, 40, 50]


def test_other_settings_have_other_files(source: ImageFiles, tmp_path: Path) -> None:
    for image_format in (
        FORMAT,
        ImageFormat(8, 1, "stretch", None),
        ImageFormat(4, 3, "stretch", None),
        ImageFormat(4, 1, "pad", None),
    ):
        assert on_disk(tmp_path).load(source, ALL, image_format).shape == (6, *image_format.shape)
    on_disk(tmp_path).load(source, ALL[:5], FORMAT)
    assert len(list((tmp_path / "cache").glob("six_*.npy"))) == 5


KILLED_BUILD = """
import os, signal, sys
import numpy as np
from semigan_pl.data.cache import ABANDONED_AFTER, ImageCache
from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.transforms import ImageFormat

source = ImageFiles("six", ["x"], [0] * 6, [""] * 6, sys.argv[2:])
read = source.read
source.read = lambda position: os.kill(os.getpid(), signal.SIGKILL) if position == 3 else read(position)
ImageCache(sys.argv[1], memory_mb=0).load(source, np.arange(6), ImageFormat(4, 1, "stretch", None))
"""


def test_a_killed_build_leaves_nothing_half_done(source: ImageFiles, tmp_path: Path) -> None:
    """The builder is killed for good when it comes to the fourth image."""
    command = [sys.executable, "-c", KILLED_BUILD, str(tmp_path / "cache"), *source.paths]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == -signal.SIGKILL
    (unfinished,) = (tmp_path / "cache").iterdir()
    assert unfinished.suffix == ".unfinished"
    assert values(on_disk(tmp_path).load(source, ALL, FORMAT)) == [0, 10, 20, 30, 40, 50]
    assert unfinished.exists()  # for all we know somebody is still at it

    long_ago = time.time() - ABANDONED_AFTER - 1
    os.utime(unfinished, (long_ago, long_ago))
    on_disk(tmp_path).load(source, ALL[:2], FORMAT)
    assert not unfinished.exists()


def test_an_interrupted_build_cleans_up(source: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(position: int) -> Image.Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        on_disk(tmp_path).load(source, ALL, FORMAT)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("memory_mb", [0, 1])
def test_unreadable_images_are_counted_and_named(source: ImageFiles, tmp_path: Path, memory_mb: int) -> None:
    whole = Path(source.paths[2]).read_bytes()
    Path(source.paths[2]).write_bytes(whole[:40])
    Path(source.paths[5]).write_text("not an image")
    with pytest.raises(ValueError, match=r"2 of 6 images of six cannot be read.*2\.png.*5\.png"):
        ImageCache(str(tmp_path / "cache"), memory_mb).load(source, ALL, FORMAT)


def test_arrays_have_fingerprints_too() -> None:
    source = digits()
    assert source.fingerprint([1, 2]) == digits().fingerprint([1, 2]) != source.fingerprint([2, 1])
    source.images[2, 0, 0] += 1
    assert source.fingerprint([1, 2]) != digits().fingerprint([1, 2])
