"""task=predict: scores, decisions and heat overlays of new images, which need no labels.

Several processes share the images. What is done is on disk row by row: killed at any moment, the same command goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from semigan_pl.data.cache import listing
from semigan_pl.data.image_source import ImageFiles, ImageSource, existing_folder, image_files
from semigan_pl.detector import Detector
from semigan_pl.progress import progress_bar
from semigan_pl.report.gallery import write_gallery
from semigan_pl.settings import checkpoint_path
from semigan_pl.tasks.judging import devices, judged, predictions, share_out
from semigan_pl.tasks.launched import launch
from semigan_pl.tasks.overlay_files import check_choice
from semigan_pl.tasks.prediction_page import gallery, most_suspicious
from semigan_pl.tasks.processes import processes_to_start, settle_devices
from semigan_pl.tasks.settle import check_fresh, check_typed, detector_of
from semigan_pl.tasks.suspects import Stopwatch, Suspects
from semigan_pl.tasks.unfinished import Rows, UnfinishedTable

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


def predict(config: DictConfig) -> None:
    """Writes predictions.csv, overlays/ and predictions.html into the run's folder.

    Raises ValueError in the end if images could not be read, unless data.skip_broken=true: all others are done by then.
    """
    check(config)
    detector, source, suspects = own_detector(config), new_images(config), Suspects(config.cards)
    table = predictions(config, detector)
    table.begin(made_by(config))
    rows, watch = table.rows(source.paths), Stopwatch()
    earlier = len(source) - len(rows.missing)
    with stoppable(table):
        with progress_bar(len(source), "Predicting", "images", earlier) as advance:
            unread = judge(config, detector, source, table, rows, suspects, advance)
        rows = table.rows(source.paths)
        check_alone(table, len(rows.missing) - len(unread))
        rate = watch.rate(len(source) - len(unread) - earlier)
        shown = most_suspicious(detector, source, rows, suspects)
        page = write_gallery(Path(config.run) / "predictions.html", gallery(detector, shown, rows, unread))
        table.finish(rows)
    tell(config, page, rows, earlier, rate)
    if unread and not config.data.skip_broken:
        raise ValueError(
            f"{len(unread)} of {len(source)} images cannot be read: repair or remove {listing(unread)}, or accept it"
            " with data.skip_broken=true (all others are in predictions.csv)"
        )


def check(config: DictConfig) -> None:
    """Raises ValueError where something typed makes no sense; settles how many processes there are, and on what."""
    check_choice(config.overlays)
    check_typed(
        config, HEEDED, FORMAT, "a detector judges as its checkpoint was calibrated; a run with it calibrates anew"
    )
    if started := launch():
        raise ValueError(
            f"task=predict starts its processes itself, on one machine: start it without {started.by}, with trainer=ddp"
            " or with trainer.devices=N"
        )
    settle_devices(config)
    check_fresh(Path(config.run) / "predictions.csv")


def own_detector(config: DictConfig) -> Detector:
    """The detector of this process, not on a GPU yet: the other processes come first. Settles the block size."""
    detector = detector_of(OmegaConf.merge(config, {"trainer": {"accelerator": "cpu"}}))  # type: ignore[arg-type]
    config.block_size = detector.module.block_size
    return detector


def made_by(config: DictConfig) -> dict[str, Any]:
    """What a row depends on, and whether it has an overlay, by option. (GPUs and CPUs differ in the last bits.)"""
    checkpoint = checkpoint_path(config)
    assert checkpoint is not None, "detector_of has looked"
    return {
        "checkpoint": sha256(checkpoint.read_bytes()).hexdigest(),
        "trainer.accelerator": devices(config)[0].partition(":")[0],
        "block_size": config.block_size,
        "overlays": config.overlays,
        "data.root": config.data.root,
        "data.source": OmegaConf.to_container(config.data.source, resolve=True),
    }


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


def judge(
    config: DictConfig,
    detector: Detector,
    source: ImageSource,
    table: UnfinishedTable,
    rows: Rows,
    suspects: Suspects,
    advance: Callable[[int], None],
) -> list[str]:
    """Judges all images that have no row yet; returns the files that cannot be read, with the reasons."""
    if processes_to_start(config) and len(rows.missing):
        share_out(config, source, rows.missing, advance)
        rows = table.rows(source.paths)
    detector.module.to(devices(config)[0])
    broken = dict[int, str]()
    with table.growing() as writer:  # all images; or those that the other processes could not read, to learn why
        for block in judged(config, detector, source, rows.missing, writer, broken):
            for seen in block:
                suspects.add(seen)
            advance(len(block))
    return list(broken.values())


def check_alone(table: UnfinishedTable, lost: int) -> None:
    """Raises ValueError where rows that were written are not there: the same command must run somewhere else too."""
    if lost:
        raise ValueError(
            f"{lost} rows have gone from {table.table}: another prediction writes into this folder; wait until it has"
            " ended, then continue this one, or choose another run=FOLDER"
        )


@contextmanager
def stoppable(table: UnfinishedTable) -> Iterator[None]:
    """Says what is left of a prediction that was stopped, and how to go on with it."""
    try:
        yield
    except BaseException:
        print(
            f"\nStopped: what was computed until then is in {table.table}; the same command with"
            f" 'run={table.path.parent}' goes on from there",
            file=sys.stderr,
        )
        raise


def tell(config: DictConfig, page: Path, rows: Rows, earlier: int, rate: float) -> None:
    """Says on the screen what came out, and where it is."""
    console = Console()
    n_images, n_anomalous = len(rows.scores) - len(rows.missing), int(rows.decisions.sum())
    before = f" ({earlier:,} of them before this start)" if earlier else ""
    console.print(f"{n_images:,} images{before} at {rate:,.1f} images/s: {n_anomalous:,} called anomalous.")
    console.print(f"Scores: {Path(config.run) / 'predictions.csv'}", soft_wrap=True, markup=False)
    console.print(f"Page: {page}", style="bold", soft_wrap=True, markup=False)
