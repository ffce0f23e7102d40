"""A trained detector on new images: from a checkpoint alone, in a few lines of Python.

from semigan_pl import load_detector

for found in load_detector("last.ckpt").predict(["a.png", "b.jpg"]):
    print(found.path, found.score, found.is_anomalous)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from numpy.typing import NDArray
from PIL import Image

from semigan_pl.checkpoints import check_weights, detector_parts, read_checkpoint
from semigan_pl.data.cache import UNREADABLE
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.evaluation.scores import decide
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import from_levels, to_levels

AnyImage = str | Path | NDArray[Any] | Image.Image


class Detection(NamedTuple):
    """What a detector says of one image. Nothing in it depends on the other images."""

    path: str | None  # of the file, None for an image that was given as pixels
    score: float  # raw, higher is more anomalous
    is_anomalous: bool  # score > threshold, which was fixed on validation
    terms: dict[str, float]  # every score term
    anomaly_map: NDArray[np.float32] | None  # (H, W) at the detector's image size, >= 0; None: the method has none
    reconstruction: NDArray[np.uint8] | None  # (C, H, W); None: the method does not reconstruct
    image: NDArray[np.uint8]  # (C, H, W), what the networks saw


class Detector:
    """Images in, detections out.

    Args:
        module: a calibrated method.
        image_format: brings any image to what the method was trained on.
        name: of the method and its data, for people.
        data: what the checkpoint says of the data, `used` among it: positions of the images that it has learned from.
    """

    def __init__(self, module: AnomalyModule, image_format: ImageFormat, name: str, data: dict[str, Any]) -> None:
        self.module = module.eval()
        self.image_format = image_format
        self.name = name
        self.data = data

    @property
    def threshold(self) -> float:
        """Scores above it are called anomalous."""
        return self.module.threshold

    @property
    def score_name(self) -> str:
        """The term that decides."""
        return self.module.decision.score

    @property
    def map_scale(self) -> float | None:
        """The level that maps of normal images seldom exceed; None where the method has no maps."""
        return None if self.module.calibration is None else self.module.calibration.map_scale

    def predict(self, images: AnyImage | Iterable[AnyImage]) -> list[Detection]:
        """Detections of one or many images, in order.

        Args:
            images: files; or pixels, uint8 or uint16, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Any size.

        Raises:
            ValueError: a file that cannot be read, or pixels of another kind.
        """
        return list(self.stream([images] if isinstance(images, (str, Path, np.ndarray, Image.Image)) else images))

    def stream(self, images: Iterable[AnyImage]) -> Iterator[Detection]:
        """The same, a block at a time as one goes through them: for more images than memory holds."""
        waiting = iter(images)
        while block := list(islice(waiting, self.module.block_size)):
            paths = [str(image) if isinstance(image, (str, Path)) else None for image in block]
            yield from self.inspect(np.stack([self.prepare(image) for image in block]), paths)

    def prepare(self, image: AnyImage) -> NDArray[np.uint8]:
        """What the networks see of an image, (C, H, W). Raises ValueError as `predict` does."""
        if isinstance(image, np.ndarray):
            return self.image_format(_from_pixels(image))
        if isinstance(image, Image.Image):
            return self.image_format(image)
        try:
            with Image.open(image) as opened:
                return self.image_format(opened)
        except UNREADABLE as error:
            raise ValueError(f"{image} cannot be read as an image ({error}): repair or remove it") from error

    def inspect(self, pixels: NDArray[np.uint8], paths: list[str | None]) -> list[Detection]:
        """Detections of prepared images (N, C, H, W)."""
        return self.inspect_batch(from_levels(torch.from_numpy(pixels)), paths)

    def inspect_batch(self, images: torch.Tensor, paths: list[str | None]) -> list[Detection]:
        """Detections of images (N, C, H, W) in [-1, 1] at the detector's size."""
        said = self.module.predict(images.to(self.module.device))
        pixels = to_levels(images).cpu().numpy()
        scores = said.score.cpu().numpy()
        terms = {name: values.cpu().numpy() for name, values in said.terms.items()}
        maps = None if said.anomaly_map is None else said.anomaly_map.cpu().numpy()[:, 0]
        drawn = None if said.reconstruction is None else to_levels(said.reconstruction).cpu().numpy()
        return [
            Detection(
                path=paths[row],
                score=float(scores[row]),
                is_anomalous=bool(decision),
                terms={name: float(values[row]) for name, values in terms.items()},
                anomaly_map=None if maps is None else maps[row],
                reconstruction=None if drawn is None else drawn[row],
                image=pixels[row],
            )
            for row, decision in enumerate(decide(scores, self.threshold))
        ]


def load_detector(checkpoint: str | Path, device: str | None = None) -> Detector:
    """The detector in a checkpoint that `run.py` wrote.

    The file is read as data, and builds only classes of this project and a few of torch's: it cannot run code.

    Args:
        checkpoint: e.g. outputs/.../checkpoints/last.ckpt.
        device: "cpu", "cuda", ...; None means a GPU where there is one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no checkpoint of this project, asks for foreign code, or was never calibrated.
    """
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: give the path of a last.ckpt")
    content = read_checkpoint(path)
    model, image_format = detector_parts(path, content)
    try:
        module = instantiate(model, _convert_="all")
        seen = instantiate(image_format)
        if not isinstance(module, AnomalyModule) or not isinstance(seen, ImageFormat):
            raise TypeError("its config builds no detector")
        check_weights(path, content, module)
        module.load_state_dict(content["state_dict"])
    except (InstantiationException, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit this version of the project ({error}): train it again") from error
    module.check_new_images()
    if module.calibration is None:
        raise ValueError(f"{path} was written before calibration: finish its run (run=FOLDER checkpoint=last) first")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Detector(module.to(chosen), seen, f"{module.name} on {content['data'].get('name')}", content["data"])


def _from_pixels(pixels: NDArray[Any]) -> Image.Image:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    is_grey = pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16)
    is_colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.dtype == np.uint8
    if not (is_grey or is_colour) or not pixels.size:
        raise ValueError(
            f"pixels of shape {pixels.shape} and type {pixels.dtype} are no image: give uint8 (or grey uint16) of shape"
            " (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    return Image.fromarray(pixels)
