"""What is written as it comes is read back to the bit, and only where it still holds."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from semigan_pl.callbacks import journal
from semigan_pl.callbacks.fingerprint import conditions, fingerprint
from semigan_pl.callbacks.journal import Journal, recovered
from semigan_pl.callbacks.run_record import RunRecord
from semigan_pl.callbacks.scored import Scored
from semigan_pl.command_line import sentence
from semigan_pl.evaluation.scores import ScoreTable
from semigan_pl.types import Batch, Prediction
from tests.conftest import build_model

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.standard_normal((2, 40)).astype(np.float32)
MAPS = RANDOM.standard_normal((40, 1, 4, 4)).astype(np.float32)
MASKS = RANDOM.random((40, 4, 4)) < 0.3


def table(first: int, stop: int) -> ScoreTable:
    indices = np.arange(first, stop) + 1000
    return ScoreTable(indices, indices % 2, {"residual": SCORES[0, first:stop], "critic": SCORES[1, first:stop]})


def take_in(scored: Scored, first: int, stop: int) -> ScoreTable:
    """Shows a batch to `scored`: rows, examples, pixels."""
    rows = table(first, stop)
    images, maps = torch.from_numpy(MAPS[first:stop]).tanh(), torch.from_numpy(MAPS[first:stop])
    batch = Batch(images, torch.from_numpy(rows.labels), torch.from_numpy(rows.indices))
    terms = {name: torch.from_numpy(values) for name, values in rows.terms.items()}
    masks = [None if row % 5 == 0 else MASKS[row] for row in range(first, stop)]
    scored.keeper.add(batch, Prediction(terms["critic"], terms, maps, None), range(first, stop), 0.0, masks)
    scored.pixels.add(MAPS[first:stop, 0], MASKS[first:stop])
    scored.images_with_truth |= set(rows.indices.tolist())
    scored.tables.append(rows)
    return rows


def write(folder: Path, name: str, borders: list[int], seconds: float = 0, key: str = "same") -> Scored:
    """A session that took in the images from one border to the next, a batch each."""
    scored = Scored(3)
    with closing(Journal(folder / name, key, seconds)) as kept:
        for first, stop in pairwise(borders):
            kept.append(take_in(scored, first, stop), scored)
    return scored


def content(scored: Scored, folder: Path) -> list[Any]:
    """All that a session knows, comparable."""
    scored.keeper.save(folder / "examples.npz")
    rows = scored.table
    pixels = scored.pixels
    terms = {name: values.tobytes() for name, values in rows.terms.items()}
    numbers = [pixels.n_pixels, pixels.auroc(), pixels.average_precision(), pixels.quantile(0.9), pixels.prevalence]
    return [
        rows.indices.tolist(),
        rows.labels.tolist(),
        terms,
        (folder / "examples.npz").read_bytes(),
        numbers,
        scored.images_with_truth,
    ]


@pytest.mark.parametrize("names", [["test-a-0"], ["test-a-0", "test-a-1", "test-b-0"]])
def test_sessions_and_processes_are_read_back_to_the_bit(names: list[str], tmp_path: Path) -> None:
    whole = Scored(3)
    for first in range(0, 30, 10):
        take_in(whole, first, first + 10)
    borders = [[0, 10, 20, 30]] if len(names) == 1 else [[20, 30], [0, 3, 10], [10, 20]]
    for name, part in zip(names, borders, strict=True):
        write(tmp_path / "scoring", name, part)
    found = recovered(tmp_path / "scoring", "test", "same", 3)
    assert content(found, tmp_path) == content(whole, tmp_path)
    assert sorted(found.positions) == list(range(1000, 1030))
    assert {path.suffix for path in (tmp_path / "scoring").iterdir()} == {".rows", ".state"}


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert recovered(tmp_path / "scoring", "test", "same", 3).positions.tolist() == []
    assert recovered(tmp_path / "scoring", "test", "same", 3).positions.dtype == np.int64
    assert not list(tmp_path.iterdir())


def test_rows_behind_the_last_state_do_not_count(tmp_path: Path) -> None:
    """Whole or half written: their pixels are not known."""
    expected = write(tmp_path, "test-a-0", [0, 10, 20])
    with (tmp_path / "test-a-0.rows").open("ab") as file:
        file.write(b"half a row")
    assert content(recovered(tmp_path, "test", "same", 3), tmp_path) == content(expected, tmp_path)


def test_states_are_written_now_and_then(tmp_path: Path) -> None:
    write(tmp_path, "test-a-0", [0, 10, 20], seconds=3600)
    size = 10 * 2 * (8 + 8 + 4 + 4)
    assert (tmp_path / "test-a-0.rows").stat().st_size == size  # as they come
    assert recovered(tmp_path, "test", "same", 3).positions.tolist() == []
    assert not list(tmp_path.iterdir())


def truncate(folder: Path) -> None:
    os.truncate(folder / "test-a-0.rows", 7)


def tear(folder: Path) -> None:
    state = folder / "test-a-0.state"
    os.truncate(state, state.stat().st_size // 2)


def lose_rows(folder: Path) -> None:
    (folder / "test-a-0.rows").unlink()
    (folder / "test-a-0.rows").touch()


def replace_state(folder: Path) -> None:
    torch.save({"key": "same", "columns": [["index", "|O"]], "n_rows": 1, "scored": {}}, folder / "test-a-0.state")


@pytest.mark.parametrize("damage", [truncate, tear, lose_rows, replace_state])
def test_what_is_damaged_is_scored_anew(damage: Any, tmp_path: Path) -> None:
    write(tmp_path, "test-a-0", [0, 10])
    expected = write(tmp_path, "test-b-0", [10, 20])
    damage(tmp_path)
    assert content(recovered(tmp_path, "test", "same", 3), tmp_path) == content(expected, tmp_path)
    assert not list(tmp_path.glob("test-a-*"))


def test_other_conditions_and_other_splits(tmp_path: Path) -> None:
    write(tmp_path, "test-a-0", [0, 10], key="of other weights")
    write(tmp_path, "val-a-0", [0, 10])
    assert recovered(tmp_path, "test", "same", 3).positions.tolist() == []
    assert {path.name for path in tmp_path.iterdir()} == {"val-a-0.rows", "val-a-0.state"}


def test_no_image_counts_twice(tmp_path: Path) -> None:
    """Two runs at once in one folder."""
    expected = write(tmp_path, "test-a-0", [0, 10])
    write(tmp_path, "test-b-0", [9, 20])
    assert content(recovered(tmp_path, "test", "same", 3), tmp_path) == content(expected, tmp_path)


class Full:
    """A file without room, which does not say its name."""

    def write(self, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("suffix", [".rows", ".state"])
def test_a_full_disk_is_named(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept before stays."""
    write(tmp_path, "test-a-0", [0, 10])
    if suffix == ".rows":
        monkeypatch.setattr(Path, "open", lambda *_: Full())
    else:
        monkeypatch.setattr(journal, "write_bytes", lambda path, content: Full().write(content))
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path, "test-b-0", [10, 20])
    monkeypatch.undo()
    full = (tmp_path / "test-b-0").with_suffix(suffix)
    assert sentence(caught.value, []).startswith(f"no space left on the device while writing {full}: ")
    assert recovered(tmp_path, "test", "same", 3).positions.tolist() == list(range(1000, 1010))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "scoring").touch()
    with pytest.raises(OSError, match="scoring"):
        write(tmp_path / "scoring", "test-a-0", [0, 10])


# --- conditions -------------------------------------------------------------------------------------------------------


def test_fingerprints_of_tensors_go_by_every_bit() -> None:
    values = torch.tensor([1.0, 0.0])
    same = fingerprint({"weight": values, "n": 1}, ["x"])
    assert same == fingerprint({"weight": values.clone(), "n": 1}, ["x"])
    others = [
        fingerprint({"weight": torch.tensor([1.0, -0.0]), "n": 1}, ["x"]),
        fingerprint({"weight": values.view(1, 2), "n": 1}, ["x"]),
        fingerprint({"weight": values.view(torch.int32), "n": 1}, ["x"]),
        fingerprint({"bias": values, "n": 1}, ["x"]),
        fingerprint({"weight": values, "n": 2}, ["x"]),
        fingerprint({"weight": values, "n": 1}, ["y"]),
        fingerprint({"weight": values, "n": 1}, ["x", "y"]),
    ]
    assert len({same, *others}) == 8
    fingerprint({"half": torch.ones((), dtype=torch.bfloat16), "none": torch.ones(0)}, [])  # no dimension, no value


def trainer(**changes: Any) -> Any:
    """What `conditions` asks of a trainer."""
    config: dict[str, Any] = {"run": "a", "checkpoint": None, "trainer": {"devices": 1}, "seed": 0}
    config |= {"search": {"steps": 3}, "data": {"cache_dir": None, "root": "x"}}
    splits = SimpleNamespace(val=np.arange(3), val_known=np.arange(3, 5), test=np.arange(5, 9))
    data = SimpleNamespace(splits=splits, path_of=lambda i: changes.get("path", "test/{}").format(i))
    callbacks = [RunRecord({**config, **changes.get("config", {})})]
    accelerator = changes.get("accelerator", 1)
    return SimpleNamespace(datamodule=data, callbacks=callbacks, accelerator=accelerator, precision="32-true")


def test_what_scores_depend_on() -> None:
    module: Any = build_model("semigan")
    same = conditions(trainer(), module, "test")
    free: dict[str, Any] = {
        "run": "b",
        "checkpoint": "last",
        "trainer": {"devices": 2},
        "data": {"cache_dir": "c", "root": "x"},
    }
    assert conditions(trainer(config=free), module, "test") == same
    others = [
        conditions(trainer(config={"search": {"steps": 4}}), module, "test"),
        conditions(trainer(config={"data": {"root": "y"}}), module, "test"),
        conditions(trainer(path="other/{}"), module, "test"),
        conditions(trainer(accelerator="another"), module, "test"),
        conditions(trainer(), module, "val"),
    ]
    before = conditions(trainer(), module, "val")
    module.calibrate(ScoreTable(np.arange(4), np.array([0, 0, 1, 1]), dict.fromkeys(module.terms, np.arange(4.0))))
    assert conditions(trainer(), module, "val") == before  # which is where the calibration comes from
    others.append(conditions(trainer(), module, "test"))
    assert len({same, *others}) == 7
