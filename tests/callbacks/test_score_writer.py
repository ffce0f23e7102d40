"""From predictions of batches to calibration, scores.csv, examples.npz and metrics."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from semigan_pl.callbacks.score_writer import ScoreWriter, as_table, gather
from semigan_pl.evaluation.metrics import auroc
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import Batch, Prediction
from tests.conftest import build_model

N = 24
CLASSES = ["plain" if index % 3 else ("cut" if index % 2 else "dirt") for index in range(N)]
LABELS = torch.tensor([int(name != "plain") for name in CLASSES])
TERMS = {
    name: torch.randn(N, generator=torch.Generator().manual_seed(seed)) * 1000 + 300 * LABELS
    for seed, name in enumerate(("residual", "discrimination", "anogan", "critic"))
}


MAPS = torch.rand(N, 1, 16, 16, generator=torch.Generator().manual_seed(9))
MASKS = np.random.default_rng(9).random((N, 16, 16)) < 0.2
MASKS[LABELS.numpy() == 0] = False
UNKNOWN = {6}  # an anomaly without a mask


class Data:
    """What the callback asks of a data module."""

    def __init__(self, has_pixel_truth: bool = False) -> None:
        self.has_pixel_truth = has_pixel_truth

    def pixel_truth(self, index: int) -> NDArray[np.bool_] | None:
        assert self.has_pixel_truth
        return None if index in UNKNOWN else MASKS[index]

    def class_name_of(self, index: int) -> str:
        return CLASSES[index]

    def place_in_class(self, index: int) -> int:
        return CLASSES[:index].count(CLASSES[index])

    def path_of(self, index: int) -> str:
        return f"test/{CLASSES[index]}, {index}.png"

    def summary(self) -> dict[str, Any]:
        return {"known_classes": ["cut"]}


def batches(module: AnomalyModule, has_maps: bool = False) -> list[tuple[Batch, Prediction]]:
    """Unequal batches out of order, the last image twice."""
    complete = module.decision.complete(TERMS, module.calibration)
    score = complete[module.decision.score if module.calibration else module.decision.search or ""]
    found = []
    for rows in (torch.arange(20, N), torch.arange(0, 13), torch.arange(13, 21)):
        terms = {name: values[rows] for name, values in complete.items()}
        images = torch.zeros(len(rows), 1, 16, 16)
        maps = MAPS[rows] if has_maps else None
        found.append((Batch(images, LABELS[rows], rows), Prediction(score[rows], terms, maps, None)))
    return found


def validate(writer: ScoreWriter, module: AnomalyModule, trainer: Any, has_maps: bool = False) -> None:
    writer.on_validation_epoch_start(trainer, module)
    for number, (batch, prediction) in enumerate(batches(module, has_maps)):
        writer.on_validation_batch_end(trainer, module, prediction, batch, number)
    writer.on_validation_epoch_end(trainer, module)


def put_to_test(writer: ScoreWriter, module: AnomalyModule, trainer: Any, has_maps: bool = False) -> None:
    writer.on_test_epoch_start(trainer, module)
    for number, (batch, prediction) in enumerate(batches(module, has_maps)):
        writer.on_test_batch_end(trainer, module, prediction, batch, number)
    writer.on_test_epoch_end(trainer, module)


@pytest.fixture
def finished(tmp_path: Path) -> tuple[ScoreWriter, AnomalyModule, Path]:
    """Validated and tested on the same made-up predictions."""
    writer, module = ScoreWriter(examples=2, seconds=30, metrics={"area": auroc}), build_model("semigan")
    trainer = SimpleNamespace(datamodule=Data(), default_root_dir=str(tmp_path), is_global_zero=True)
    validate(writer, module, trainer)
    put_to_test(writer, module, trainer)
    return writer, module, tmp_path


Finished = tuple[ScoreWriter, AnomalyModule, Path]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_validation_calibrates(finished: Finished) -> None:
    writer, module, _ = finished
    expected = module.decision.calibrate({name: values.numpy() for name, values in TERMS.items()}, LABELS.numpy())
    assert module.calibration == expected
    assert writer.metrics["val/auroc_critic"] == pytest.approx(roc_auc_score(LABELS, TERMS["critic"]))
    assert writer.metrics["val/auroc"] == writer.metrics["val/auroc_fused"]
    for name, cut in expected.thresholds.items():
        assert writer.metrics[f"val/threshold_{name}"] == cut


def test_validation_scores_are_kept_and_what_the_pool_hides_is_not(finished: Finished) -> None:
    _, module, folder = finished
    with (folder / "validation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "path", "kind", "score", *TERMS, "fused"]
    assert [int(row["index"]) for row in rows] == list(range(N))
    assert rows[0]["path"] == "test/dirt, 0.png"
    assert [row["kind"] for row in rows] == ["known" if label else "pool" for label in LABELS.tolist()]
    for name, values in module.decision.complete(TERMS, module.calibration).items():
        assert np.array_equal(np.array([float(row[name]) for row in rows], dtype=np.float32), values.numpy()), name
    assert [row["score"] for row in rows] == [row["fused"] for row in rows]


def test_every_image_has_one_row_in_order(finished: Finished) -> None:
    _, module, folder = finished
    rows = rows_of(folder)
    assert list(rows[0]) == ["index", "path", "class", "label", "score", "decision", *TERMS, "fused"]
    assert [int(row["index"]) for row in rows] == list(range(N))
    assert [row["class"] for row in rows] == CLASSES
    assert [int(row["label"]) for row in rows] == LABELS.tolist()
    assert rows[0]["path"] == "test/dirt, 0.png"  # a comma in a file's name
    assert [int(row["decision"]) for row in rows] == [int(float(row["score"]) > module.threshold) for row in rows]


def test_numbers_are_written_to_the_last_bit(finished: Finished) -> None:
    _, module, folder = finished
    rows = rows_of(folder)
    for name, values in module.decision.complete(TERMS, module.calibration).items():
        assert np.array_equal(np.array([float(row[name]) for row in rows], dtype=np.float32), values.numpy()), name
    assert all(row["score"] == row["fused"] for row in rows)


def test_metrics_and_examples_come_from_the_same_scores(finished: Finished) -> None:
    writer, module, folder = finished
    rows = rows_of(folder)
    score = [float(row["score"]) for row in rows]
    assert writer.metrics["test/area"] == pytest.approx(roc_auc_score(LABELS, score))
    assert writer.metrics["test/threshold"] == module.threshold
    chosen = [i for i, name in enumerate(CLASSES) if name != "cut"]
    unseen = roc_auc_score(LABELS[chosen], [score[i] for i in chosen])
    assert writer.metrics["test/auroc_unseen"] == pytest.approx(unseen)
    with np.load(folder / "examples.npz") as file:
        for index, kind in zip(file["index"], file["kind"], strict=True):
            decided = (int(rows[index]["label"]), int(rows[index]["decision"]))
            assert decided in {"false alarm": [(0, 1)], "missed": [(1, 0)]}.get(kind, [(0, 0), (0, 1), (1, 0), (1, 1)])


def test_a_second_test_starts_afresh(finished: Finished) -> None:
    writer, module, folder = finished
    before = (folder / "scores.csv").read_bytes(), dict(writer.metrics)
    put_to_test(writer, module, SimpleNamespace(datamodule=Data(), default_root_dir=str(folder), is_global_zero=True))
    assert ((folder / "scores.csv").read_bytes(), writer.metrics) == before


def test_calibrating_again_gives_the_same(finished: Finished) -> None:
    """`fused` of the earlier calibration is in the predictions by then, and must not count as a term of the method."""
    writer, module, folder = finished
    before = module.calibration, dict(writer.metrics)
    validate(writer, module, SimpleNamespace(datamodule=Data(), default_root_dir=str(folder), is_global_zero=True))
    assert (module.calibration, writer.metrics) == before


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    writer, module = ScoreWriter(examples=2, seconds=30, metrics={}), build_model("semigan")
    trainer = SimpleNamespace(datamodule=Data(), default_root_dir=str(tmp_path), is_global_zero=False)
    validate(writer, module, trainer)
    put_to_test(writer, module, trainer)
    assert module.calibration is not None
    assert not list(tmp_path.iterdir())
    assert "test/auroc" not in writer.metrics


def test_parts_of_all_processes_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_gather_object(parts: list[Any], part: Any) -> None:
        parts[:] = [part, "the other's"]

    assert gather("mine") == ["mine"]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    assert gather("mine") == ["mine", "the other's"]


def test_a_table_has_no_gradients() -> None:
    score = torch.ones(2, requires_grad=True) * 2
    batch = Batch(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]), torch.tensor([7, 3]))
    table = as_table(batch, Prediction(score, {"critic": score}, None, None))
    assert table.indices.tolist() == [7, 3]
    assert table.labels.tolist() == [0, 1]
    assert table.terms["critic"].tolist() == [2.0, 2.0]


def measured(folder: Path, has_pixel_truth: bool, has_maps: bool) -> tuple[ScoreWriter, AnomalyModule]:
    """Validated and tested, with or without true masks, with or without anomaly maps."""
    writer, module = ScoreWriter(examples=N, seconds=30, metrics={}), build_model("semigan")
    trainer = SimpleNamespace(datamodule=Data(has_pixel_truth), default_root_dir=str(folder), is_global_zero=True)
    validate(writer, module, trainer, has_maps)
    put_to_test(writer, module, trainer, has_maps)
    return writer, module


def test_pixels_are_measured_where_the_truth_is_known(tmp_path: Path) -> None:
    writer, _ = measured(tmp_path, has_pixel_truth=True, has_maps=True)
    known = [index for index in range(N) if index not in UNKNOWN]
    values, truth = MAPS[known].numpy().ravel(), MASKS[known].ravel()
    assert writer.metrics["test/pixel_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=1e-12)
    expected = average_precision_score(truth, values)
    assert writer.metrics["test/pixel_average_precision"] == pytest.approx(expected, abs=1e-12)
    assert writer.metrics["test/pixel_prevalence"] == truth.mean()
    assert writer.metrics["test/pixel_images"] == N - 1  # image 20 came twice and counts once


@pytest.mark.parametrize(("has_pixel_truth", "has_maps"), [(False, True), (True, False), (False, False)])
def test_without_masks_or_maps_nothing_is_said_of_pixels(tmp_path: Path, has_pixel_truth: bool, has_maps: bool) -> None:
    writer, _ = measured(tmp_path, has_pixel_truth, has_maps)
    assert not [key for key in writer.metrics if "pixel" in key]
    with np.load(tmp_path / "examples.npz") as file:
        assert ("masks" in file) == ("has_mask" in file) == has_pixel_truth


def test_examples_carry_their_masks(tmp_path: Path) -> None:
    measured(tmp_path, has_pixel_truth=True, has_maps=False)
    with np.load(tmp_path / "examples.npz") as file:
        index, masks, has_mask = file["index"], file["masks"], file["has_mask"]
    assert set(index.tolist()) > UNKNOWN
    for position, mask, is_known in zip(index, masks, has_mask, strict=True):
        assert is_known == (position not in UNKNOWN)
        np.testing.assert_array_equal(mask, MASKS[position] if is_known else False)


def test_the_scale_of_maps_is_that_of_the_pool(tmp_path: Path) -> None:
    _, module = measured(tmp_path, has_pixel_truth=False, has_maps=True)
    rows = [row for batch, _ in batches(module) for row in batch.indices.tolist() if not LABELS[row]]
    assert module.calibration is not None
    assert module.calibration.map_scale == np.quantile(MAPS[rows].numpy(), 0.995, method="inverted_cdf")
    _, without = measured(tmp_path, has_pixel_truth=True, has_maps=False)
    assert without.calibration is not None
    assert without.calibration.map_scale is None
