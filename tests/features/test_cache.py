"""The cache: the same features to the bit whatever is in it, and a folder that may be damaged, shared or read-only."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from semigan_pl.features.base import Features
from semigan_pl.features.cache import CachedFeatures

IMAGES = torch.rand(16, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Counted(Features):
    """A matrix product, and the images it was asked for."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(None, ready=True)
        self.weight = torch.nn.Parameter(torch.randn(36, 24, generator=torch.Generator().manual_seed(seed)))
        self.asked: list[int] = []

    def _extract(self, images: Tensor) -> Tensor:
        self.asked.append(len(images))
        return images.flatten(1) @ self.weight


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_read_back_exactly(tmp_path: Path) -> None:
    features = Counted()
    cached = CachedFeatures(features, tmp_path)
    expected = features(IMAGES[:8])
    assert torch.equal(cached(IMAGES[:8]), expected)
    assert len(files(tmp_path)) == 8
    features.asked.clear()
    assert torch.equal(cached(IMAGES[:8]), expected)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(CachedFeatures(features, tmp_path)(IMAGES[:8][order]), expected[order])
    assert not features.asked


def test_values_that_are_hard_to_write_survive(tmp_path: Path) -> None:
    features = Counted()
    with torch.no_grad():
        features.weight[0, :5] = torch.tensor([1e-42, -0.0, 3.4e38, torch.inf, torch.nan])
    cached = CachedFeatures(features, tmp_path)
    images = torch.zeros(1, 1, 6, 6)
    images[0, 0, 0, 0] = 1
    expected = features(images)
    for _ in range(2):
        torch.testing.assert_close(cached(images), expected, rtol=0, atol=0, equal_nan=True)


def test_a_block_with_one_new_image_is_computed_as_a_whole(tmp_path: Path) -> None:
    features = Counted()
    cached = CachedFeatures(features, tmp_path)
    cached(IMAGES[:8])
    features.asked.clear()
    mixed = torch.cat([IMAGES[1:8], IMAGES[8:9]])
    assert torch.equal(cached(mixed), features(mixed))
    assert features.asked == [8, 8]
    assert len(files(tmp_path)) == 9


def test_images_of_a_block_may_be_equal(tmp_path: Path) -> None:
    features = Counted()
    block = torch.cat([IMAGES[:3], IMAGES[2:3].expand(5, -1, -1, -1)])  # as a last block is filled up
    assert torch.equal(CachedFeatures(features, tmp_path)(block), features(block))
    assert len(files(tmp_path)) == 3


def test_features_are_kept_apart_by_weights_images_and_block(tmp_path: Path) -> None:
    for seed in (0, 1):
        features = Counted(seed)
        assert torch.equal(CachedFeatures(features, tmp_path)(IMAGES), features(IMAGES))
    assert len(files(tmp_path)) == 32
    features = Counted()
    cached = CachedFeatures(features, tmp_path)
    cached(IMAGES[:8])  # in another block the last bits may be others
    assert len(files(tmp_path)) == 40
    cached(IMAGES.view(16, 1, 4, 9))
    assert len(files(tmp_path)) == 56


def test_weights_that_are_loaded_later_are_noticed(tmp_path: Path) -> None:
    features = Counted()
    cached = CachedFeatures(features, tmp_path)
    before = cached(IMAGES)
    features.load_state_dict(Counted(1).state_dict())
    assert torch.equal(cached(IMAGES), Counted(1)(IMAGES))
    assert not torch.equal(cached(IMAGES), before)


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "another's"])
def test_damaged_files_are_made_anew(tmp_path: Path, damage: str) -> None:
    features = Counted()
    cached = CachedFeatures(features, tmp_path)
    expected = cached(IMAGES)
    path, other = files(tmp_path)[:2]
    whole = path.read_bytes()
    flipped = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    path.write_bytes({"cut": whole[:-4], "altered": flipped, "empty": b"", "another's": other.read_bytes()}[damage])
    features.asked.clear()
    assert torch.equal(cached(IMAGES), expected)
    assert features.asked == [16]
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    features = Counted()
    cached = CachedFeatures(features, tmp_path / "file" / "features")
    for _ in range(2):
        assert torch.equal(cached(IMAGES), features(IMAGES))
    said = capsys.readouterr().err
    assert said.count("warning: features cannot be kept in") == 1
    assert said.strip().endswith("go on without")


def test_several_may_fill_one_folder_at_once(tmp_path: Path) -> None:
    expected = Counted()(IMAGES[:8])
    found: list[Tensor] = []

    def fill() -> None:
        cached = CachedFeatures(Counted(), tmp_path)
        found.extend(cached(IMAGES[:8]) for _ in range(10))

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(torch.equal(each, expected) for each in found)
    assert len(files(tmp_path)) == 8
