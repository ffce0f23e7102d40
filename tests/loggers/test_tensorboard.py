"""TensorBoard's event files, read back with its own reader."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semigan_pl.loggers import tensorboard
from semigan_pl.loggers.tensorboard import TensorBoardEvents

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="needs the package tensorboard"
)


def read(folder: Path) -> Any:
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")  # ships no types
    found = reader.EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@needs_tensorboard
def test_curves_pictures_and_numbers_stand_at_their_images_seen(run_folder: Path) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    events = TensorBoardEvents(str(run_folder))
    events.log_hyperparams({"model": {"gamma": 0.5}})
    for step in (64, 128):
        events.log_metrics({"train/d_adversarial": step / 4}, step=step)
    events.log_run(run_folder, metrics)
    events.close()
    events.close()  # once more harms nothing

    found = read(run_folder)
    curve = [(event.step, event.value) for event in found.Scalars("train/d_adversarial")]
    assert curve == [(64, 16.0), (128, 32.0)]
    (auroc,) = found.Scalars("test/auroc")
    assert (auroc.step, auroc.value) == (7680, pytest.approx(metrics["test/auroc"], rel=1e-6))  # float32
    assert "score" not in found.Tags()["scalars"]
    for image in found.Images("samples"):
        file = run_folder / "figures" / f"samples_{image.step:09d}.png"
        assert np.array_equal(pixels(image.encoded_image_string), pixels(file.read_bytes()))
    assert [image.step for image in found.Images("samples")] == [0, 3200, 6400]
    assert {"figures/roc", "figures/histogram"} <= set(found.Tags()["images"])
    (config,) = found.Tensors("config/text_summary")
    assert b"gamma: 0.5" in config.tensor_proto.string_val[0]


@needs_tensorboard
def test_a_continued_run_hides_what_lies_beyond(tmp_path: Path) -> None:
    for steps, loss in (((64, 128, 192), 1.0), ((128, 192, 256), 2.0)):
        events = TensorBoardEvents(str(tmp_path))
        for step in steps:
            events.log_metrics({"train/a": loss}, step=step)
        events.close()
    curve = [(event.step, event.value) for event in read(tmp_path).Scalars("train/a")]
    assert curve == [(64, 1.0), (128, 2.0), (192, 2.0), (256, 2.0)]


@needs_tensorboard
def test_a_run_that_logs_nothing_leaves_nothing(tmp_path: Path) -> None:
    events = TensorBoardEvents(str(tmp_path))
    events.log_hyperparams({"seed": 0})
    events.close()
    assert not list(tmp_path.iterdir())


def test_where_it_is_missing_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        TensorBoardEvents(str(tmp_path))
