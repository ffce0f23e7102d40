"""A checkpoint as a detector: the test run's own decisions, on files and pixels of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

import semigan_pl
from semigan_pl import load_detector
from semigan_pl.detector import AnyImage, Detector
from tests.commands import Run, scores


@pytest.fixture(scope="module")
def detector(finished: tuple[Path, Run]) -> Detector:
    return load_detector(finished[0] / "checkpoints" / "last.ckpt", device="cpu")


def digit(number: int) -> NDArray[np.uint8]:
    """A digit as the embedded data set stores it, (8, 8)."""
    pixels: NDArray[np.uint8] = np.rint(load_digits().images[number] * (255 / 16)).astype(np.uint8)
    return pixels


def test_the_test_runs_own_answers_to_the_bit(finished: tuple[Path, Run], detector: Detector) -> None:
    table = scores(finished[0])
    chosen = np.argsort(-table["score"], kind="stable")[::3]  # another order, other neighbours
    found = detector.predict([digit(int(table["index"][row])) for row in chosen])
    assert [one.score for one in found] == table["score"][chosen].tolist()
    assert [one.is_anomalous for one in found] == (table["decision"][chosen] == 1).tolist()
    for term in ("residual", "discrimination", "anogan", "critic", "fused"):
        assert [one.terms[term] for one in found] == table[term][chosen].tolist()
    assert detector.threshold == pytest.approx(detector.module.threshold)


def test_what_is_said_of_an_image(detector: Detector) -> None:
    (one,) = detector.predict(digit(3))
    assert one.path is None
    assert one.image.shape == (1, 16, 16)
    assert one.reconstruction is not None
    assert (one.reconstruction.shape, one.reconstruction.dtype) == ((1, 16, 16), np.uint8)
    assert one.anomaly_map is not None
    assert (one.anomaly_map.shape, one.anomaly_map.dtype) == ((16, 16), np.float32)
    difference = np.abs(one.image[0].astype(float) - one.reconstruction[0]) / 127.5
    np.testing.assert_allclose(one.anomaly_map, difference, atol=1 / 127.5)
    assert one.score == one.terms[detector.score_name]
    assert one.is_anomalous == (one.score > detector.threshold)
    assert detector.map_scale is not None
    assert detector.map_scale > 0


def test_files_and_pixels_of_every_kind(detector: Detector, tmp_path: Path) -> None:
    grey = np.kron(digit(5), np.ones((4, 4), dtype=np.uint8))  # 32 x 32
    colour = np.stack([grey] * 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(colour).save(tmp_path / "colour.bmp")
    opaque = np.dstack([colour, np.full(grey.shape, 255, np.uint8)])
    given: list[AnyImage] = [
        grey,
        grey[..., None],
        colour,
        opaque,
        grey.astype(np.uint16) * 257,
        Image.fromarray(grey),
        tmp_path / "grey.png",
        str(tmp_path / "colour.bmp"),
    ]
    found = detector.predict(given)
    assert len({one.score for one in found}) == 1
    assert [one.path for one in found[-2:]] == [str(tmp_path / "grey.png"), str(tmp_path / "colour.bmp")]
    assert detector.predict([]) == []
    assert detector.predict(tmp_path / "grey.png")[0].score == found[0].score


def test_images_come_as_they_are_asked_for(detector: Detector) -> None:
    taken = []

    def camera() -> object:
        for number in range(200):
            taken.append(number)
            yield digit(number)

    stream = detector.stream(camera())  # type: ignore[arg-type]
    next(stream)
    assert len(taken) <= detector.module.block_size


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8)),
        np.zeros((8, 8), dtype=np.float32),
        np.zeros((1, 8, 8), dtype=np.uint8),
        np.zeros((8, 8, 2), dtype=np.uint8),
        np.zeros((8, 8, 3), dtype=np.uint16),
        np.zeros(8, dtype=np.uint8),
        np.zeros((0, 8), dtype=np.uint8),
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}",
)
def test_pixels_that_are_no_image(detector: Detector, pixels: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"are no image: give uint8"):
        detector.predict([pixels])


def test_files_that_are_no_image(detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    for path in (tmp_path / "text.png", tmp_path / "nowhere.png"):
        with pytest.raises(ValueError, match=rf"{path.name} cannot be read as an image"):
            detector.predict([path])


def test_checkpoints_that_are_no_detector(finished: tuple[Path, Run], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*nowhere\.ckpt"):
        load_detector(tmp_path / "nowhere.ckpt")
    content = torch.load(finished[0] / "checkpoints" / "last.ckpt", weights_only=True)
    content["state_dict"]["_extra_state"]["calibration"] = None
    torch.save(content, tmp_path / "early.ckpt")
    with pytest.raises(ValueError, match=r"early\.ckpt was written before calibration"):
        load_detector(tmp_path / "early.ckpt")
    content["config"]["network_sizes"]["small"]["width"] = 16
    torch.save(content, tmp_path / "other.ckpt")
    torch.save({**content, "config": {**content["config"], "model": {"a": 1}}}, tmp_path / "no.ckpt")
    with pytest.raises(ValueError, match=r"no\.ckpt does not fit this version .*builds no detector"):
        load_detector(tmp_path / "no.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt holds other networks than this model"):
        load_detector(tmp_path / "other.ckpt")


def test_the_package_names_it() -> None:
    assert semigan_pl.Detector is Detector
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        semigan_pl.nothing  # noqa: B018
