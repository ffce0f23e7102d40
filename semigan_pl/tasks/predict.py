"""task=predict: scores, decisions and heat overlays of new images, which need no labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console

from semigan_pl.atomic import replacing
from semigan_pl.data.cache import UNREADABLE, listing
from semigan_pl.data.image_source import ImageFiles, ImageSource, existing_folder, image_files
from semigan_pl.data.transforms import upright
from semigan_pl.detector import Detection, Detector
from semigan_pl.progress import counted
from semigan_pl.report.gallery import Card, Gallery, write_gallery
from semigan_pl.report.overlays import LONGEST_SIDE, heat, to_original, within
from semigan_pl.tasks.settle import check_fresh, check_typed, detector_of
from semigan_pl.tasks.suspects import Stopwatch, Suspects, command, details, growing_table, tiles

LONGEST_NAME = 200  # of an image, in bytes
# The options that this task goes by: those of the images, but not how they are brought to the detector.
HEEDED = (
    "task",
    "run",
    "name",
    "checkpoint",
    "cards",
    "overlays",
    "block_size",
    "trainer",
    "trainer.",
    "data",
    "data.",
)
FORMAT = ("data.image_size", "data.channels", "data.resize", "data.mean_grey")
OVERLAYS = ("all", "anomalous", "none")


def predict(config: DictConfig) -> None:
    """Writes predictions.csv, overlays/ and predictions.html into the run's folder.

    Raises ValueError in the end if images could not be read, unless data.skip_broken=true: all others are done by then.
    """
    if config.overlays not in OVERLAYS:
        raise ValueError(f"overlays={config.overlays} must be one of {', '.join(OVERLAYS)}")
    check_typed(
        config, HEEDED, FORMAT, "a detector judges as its checkpoint was calibrated; a run with it calibrates anew"
    )
    folder = Path(config.run)
    check_fresh(folder / "predictions.csv")
    detector = detector_of(config)
    source, suspects = new_images(config), Suspects(config.cards)
    scores, broken, watch = list[float](), list[str](), Stopwatch()
    n_anomalous = 0
    columns = ["path", "score", "decision", *detector.module.decision.names(detector.module.terms)]
    with growing_table(folder / "predictions.csv", columns) as table:
        for found, original in detections(detector, source, broken):
            table.writerow([found.path, repr(found.score), int(found.is_anomalous), *map(repr, found.terms.values())])
            scores.append(found.score)
            n_anomalous += found.is_anomalous
            shown = tiles(found, detector.map_scale)
            if found.anomaly_map is not None and detector.map_scale is not None:
                values = to_original(found.anomaly_map, original.shape[1::-1], detector.image_format.resize)
                shown = {"input": original, "suspicious": heat(original, values, detector.map_scale)}
                if config.overlays == "all" or (config.overlays == "anomalous" and found.is_anomalous):
                    save(overlay_path(folder, str(found.path), config.data.root), shown["suspicious"])
            suspects.add(Card(0, str(found.path), found.score, shown, found.is_anomalous, details(found)))
    rate = watch.rate(len(scores))
    page = write_gallery(
        folder / "predictions.html", gallery(detector, suspects, np.array(scores), n_anomalous, broken)
    )
    console = Console()
    console.print(f"{len(scores):,} images at {rate:,.1f} images/s: {n_anomalous:,} called anomalous.")
    console.print(f"Scores: {folder / 'predictions.csv'}", soft_wrap=True, markup=False)
    console.print(f"Page: {page}", style="bold", soft_wrap=True, markup=False)
    if broken and not config.data.skip_broken:
        raise ValueError(
            f"{len(broken)} of {len(source)} images cannot be read: repair or remove {listing(broken)}, or accept it"
            " with data.skip_broken=true (all others are in predictions.csv)"
        )


def new_images(config: DictConfig) -> ImageSource:
    """Every image below data.root, whatever its folders are called; or, of any other data set, all of its images."""
    if config.data.root is None or config.data.name not in ("folder", "digits"):
        source: ImageSource = instantiate(config.data.source, _convert_="all")
        return source
    root = existing_folder("data.root", config.data.root, "give your folder of images")
    paths = [str(path) for path in image_files(root)]
    if not paths:
        raise FileNotFoundError(f"data.root={root} holds no image: give a folder of png, jpg, bmp, tif or webp files")
    return ImageFiles("folder", ["new"], [0] * len(paths), [""] * len(paths), paths)


def detections(
    detector: Detector, source: ImageSource, broken: list[str]
) -> Iterator[tuple[Detection, NDArray[np.uint8]]]:
    """Every image's detection beside the image itself, (H, W, 3), at most LONGEST_SIDE large; fills `broken`."""
    prepared, originals, paths = list[NDArray[np.uint8]](), list[NDArray[np.uint8]](), list[str | None]()
    for position in counted(len(source), "Predicting"):
        try:
            image = source.read(position)
            prepared.append(detector.image_format(image))
            originals.append(within(np.asarray(upright(image).convert("RGB")), LONGEST_SIDE))
            paths.append(source.paths[position])
        except UNREADABLE as error:
            broken.append(f"{source.paths[position]} ({error})")
        if prepared and (len(prepared) == detector.module.block_size or position == len(source) - 1):
            yield from zip(detector.inspect(np.stack(prepared), paths), originals, strict=True)
            prepared, originals, paths = [], [], []


def overlay_path(folder: Path, path: str, root: str | None) -> Path:
    """overlays/<path below the root>.png; nothing in a path leads out of that folder, and a long name is cut short."""
    inner = PurePath(path)
    if root is not None and inner.is_relative_to(root):
        inner = inner.relative_to(root)
    parts = [part for part in inner.parts if part not in ("..", inner.anchor)]
    name = os.fsencode(parts[-1])
    if len(name) > LONGEST_NAME:  # file systems end at 255; the hash keeps names apart that begin alike
        short = name[: LONGEST_NAME - 20].decode(errors="ignore")
        parts[-1] = f"{short}-{hashlib.sha256(name).hexdigest()[:12]}"
    return folder.joinpath("overlays", *parts[:-1], f"{parts[-1]}.png")


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    with replacing(path) as partial:
        Image.fromarray(pixels).save(partial, compress_level=1)  # twice as large and five times as quick


def gallery(
    detector: Detector, suspects: Suspects, scores: NDArray[np.float64], n_anomalous: int, broken: list[str]
) -> Gallery:
    """The page of the most suspicious images."""
    cards = suspects.cards()
    lead = [f"{n_anomalous:,} of {len(scores):,} images are called anomalous."]
    if len(cards) < len(scores):
        lead.append(f"Shown are the {len(cards)} most suspicious; all scores are in predictions.csv.")
    if broken:
        lead.append(f"{len(broken)} images could not be read: {listing(broken)}.")
    return Gallery(
        title="New images, the most suspicious first",
        lead=lead,
        cards=cards,
        facts={"detector": detector.name, "score": detector.score_name},
        commands={"To repeat it": command()},
        scores=scores,
        threshold=detector.threshold,
        has_overlays=detector.map_scale is not None,
    )
