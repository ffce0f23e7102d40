"""Which images a report shows: kinds, limits, and the same choice from one process as from several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semigan_pl.callbacks.examples import KINDS, ExampleKeeper
from semigan_pl.types import Batch, Prediction


def add(
    keeper: ExampleKeeper,
    rows: list[tuple[int, str, int, float]],
    threshold: float = 0.5,
    maps: bool = True,
    masks: list[NDArray[np.bool_] | None] | None = None,
) -> None:
    """Shows the keeper one batch of rows (index, class, label, score); the image of index i is grey level i."""
    indices = torch.tensor([index for index, *_ in rows])
    images = (indices / 127.5 - 1).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    score = torch.tensor([score for *_, score in rows])
    details = (indices.view(-1, 1, 1, 1) * torch.ones(1, 1, 2, 2), -images) if maps else (None, None)
    batch = Batch(images, torch.tensor([label for _, _, label, _ in rows]), indices)
    places = [
        sum(other == name for _, other, *_ in ROWS[:index]) if index < len(ROWS) else index for index, name, *_ in rows
    ]
    keeper.add(batch, Prediction(score, {"critic": score}, *details), places, threshold, masks)


def kept(keeper: ExampleKeeper) -> dict[str, list[int]]:
    return {kind: [example.position for example in keeper.kept[kind]] for kind in KINDS}


ROWS = [
    (0, "plain", 0, 0.1),
    (1, "cut", 1, 0.9),
    (2, "cut", 1, 0.5),
    (3, "plain", 0, 0.7),
    (4, "dirt", 1, 0.2),
    (5, "plain", 0, 0.9),
    (6, "plain", 0, 0.8),
    (7, "cut", 1, 0.3),
    (8, "hole", 1, 0.6),
]


def test_every_kind_by_hand() -> None:
    keeper = ExampleKeeper(limit=2)
    add(keeper, ROWS)
    assert kept(keeper) == {"normal": [0, 3], "anomalous": [1, 4], "false alarm": [5, 6], "missed": [4, 7]}


def test_a_score_on_the_threshold_is_not_called_anomalous() -> None:
    keeper = ExampleKeeper(limit=2)
    add(keeper, [(0, "plain", 0, 0.5), (1, "cut", 1, 0.5)])
    assert kept(keeper) == {"normal": [0], "anomalous": [1], "false alarm": [], "missed": [1]}


def test_anomalies_are_taken_class_by_class() -> None:
    keeper = ExampleKeeper(limit=4)
    add(keeper, ROWS)
    assert kept(keeper)["anomalous"] == [1, 4, 8, 2]  # the first cut, dirt and hole, then the second cut


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_the_choice_does_not_depend_on_the_batches(size: int) -> None:
    whole, streamed = ExampleKeeper(limit=3), ExampleKeeper(limit=3)
    add(whole, ROWS)
    for first in range(0, len(ROWS), size):
        add(streamed, ROWS[first : first + size])
    assert kept(whole) == kept(streamed)


def test_memory_does_not_grow_with_the_test_set() -> None:
    keeper = ExampleKeeper(limit=3)
    for first in range(0, 200, 10):
        add(keeper, [(i, "plain", i % 2, (i * 37 % 100) / 100) for i in range(first, first + 10)])
    assert all(len(examples) == 3 for examples in keeper.kept.values())
    assert [example.rank for example in keeper.kept["false alarm"]] == pytest.approx([-0.98, -0.98, -0.96])


def test_examples_are_copies() -> None:
    """A batch must not be held in memory for the sake of one of its images."""
    keeper = ExampleKeeper(limit=1)
    add(keeper, ROWS)
    example = keeper.kept["normal"][0]
    for tensor in (example.image, example.reconstruction, example.anomaly_map):
        assert tensor is not None
        assert tensor.untyped_storage().nbytes() == tensor.numel() * 4


def test_keepers_of_processes_are_merged() -> None:
    parts = [ExampleKeeper(limit=2) for _ in range(2)]
    for rank, keeper in enumerate(parts):
        add(keeper, ROWS[rank::2])
    add(parts[1], [ROWS[4]])  # seen by both, as a padded sampler would have it
    parts[0].merge(parts[1])
    alone = ExampleKeeper(limit=2)
    add(alone, ROWS)
    assert kept(parts[0]) == kept(alone)


def test_merging_one_keeper_with_itself_changes_nothing() -> None:
    keeper = ExampleKeeper(limit=3)
    add(keeper, ROWS)
    before = kept(keeper)
    keeper.merge(keeper)
    assert kept(keeper) == before


def test_the_file_holds_what_was_kept(tmp_path: Path) -> None:
    keeper = ExampleKeeper(limit=2)
    add(keeper, ROWS)
    keeper.save(tmp_path / "examples.npz")
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert set(arrays) == {"index", "kind", "images", "reconstructions", "maps"}
    assert arrays["index"].tolist() == [0, 3, 1, 4, 5, 6, 4, 7]
    assert arrays["kind"].tolist() == [kind for kind in KINDS for _ in range(2)]
    assert arrays["images"].dtype == np.uint8
    assert (arrays["images"] == arrays["index"][:, None, None, None]).all()  # grey levels come back exactly
    np.testing.assert_allclose(arrays["reconstructions"][:, 0, 0, 0], 1 - arrays["index"] / 127.5, atol=1e-6)
    assert arrays["maps"].dtype == np.float32
    assert arrays["maps"].shape == (8, 1, 2, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]


def test_a_method_that_cannot_reconstruct_leaves_images_only(tmp_path: Path) -> None:
    keeper = ExampleKeeper(limit=2)
    add(keeper, ROWS, maps=False)
    keeper.save(tmp_path / "examples.npz")
    with np.load(tmp_path / "examples.npz") as file:
        assert set(file) == {"index", "kind", "images"}


def test_masks_go_with_their_images(tmp_path: Path) -> None:
    keeper = ExampleKeeper(limit=3)
    masks = [None if index == 4 else np.full((2, 2), index % 2 == 0) for index, *_ in ROWS]
    add(keeper, ROWS, masks=masks)
    keeper.save(tmp_path / "examples.npz")
    with np.load(tmp_path / "examples.npz") as file:
        index, kept_masks, has_mask = file["index"], file["masks"], file["has_mask"]
    assert kept_masks.dtype == has_mask.dtype == np.dtype(bool)
    assert kept_masks.shape == (len(index), 2, 2)
    np.testing.assert_array_equal(has_mask, index != 4)
    np.testing.assert_array_equal(kept_masks[:, 0, 0], (index % 2 == 0) & (index != 4))


def test_a_data_set_without_masks_leaves_none(tmp_path: Path) -> None:
    keeper = ExampleKeeper(limit=2)
    add(keeper, ROWS, masks=[None] * len(ROWS))
    keeper.save(tmp_path / "examples.npz")
    with np.load(tmp_path / "examples.npz") as file:
        assert set(file) == {"index", "kind", "images", "reconstructions", "maps"}


def test_nothing_kept_is_nothing_written(tmp_path: Path) -> None:
    ExampleKeeper(limit=2).save(tmp_path / "examples.npz")
    assert not list(tmp_path.iterdir())
