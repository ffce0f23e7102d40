"""task=audit: the unlabelled training images, the most suspicious first, for a person to confirm.

The paper's figure 1 ("noisy samples in MNIST") for one's own data: what was taken for normal and is not.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console

from semigan_pl.atomic import replacing, write_json
from semigan_pl.detector import Detection, Detector
from semigan_pl.progress import progress_bar
from semigan_pl.report.gallery import Gallery, write_gallery
from semigan_pl.settings import checkpoint_path
from semigan_pl.tasks.settle import check_fresh, check_typed, detector_of, inherited
from semigan_pl.tasks.suspects import Seen, Suspects, cards, command

HEEDED = (  # the options that this task goes by: where the data lie now, not which of them are used
    *("task", "run", "name", "checkpoint", "cards", "block_size", "trainer", "trainer."),
    *("data.root", "data.clutter", "data.manifest", "data.skip_broken", "data.cache_dir", "data.cache_memory_mb"),
)
SHARES = (0.05, 0.1, 0.2)  # of the ranking, at which it is judged where the truth is known


class Row(NamedTuple):
    """One unlabelled image."""

    position: int  # in the image source
    path: str
    class_name: str  # what the data set calls it; never shown to the method
    split: str  # train or val
    score: float
    is_anomalous: bool
    terms: dict[str, float]


def audit(config: DictConfig) -> None:
    """Writes audit.csv (every unlabelled image, ranked), audit.html (the most suspicious) and audit.json."""
    check_typed(
        config, HEEDED, (), "an audit looks at the images that the checkpoint was trained on, as it was trained"
    )
    detector = detector_of(config)
    checkpoint = checkpoint_path(config)
    assert checkpoint is not None, "detector_of has looked"
    suspects, config = Suspects(config.cards), inherited(config)
    folder = Path(config.run)
    check_fresh(folder / "audit.csv")
    data = instantiate(config.data.module, _convert_="all")
    data.prepare_data()
    check_pool(detector, data, checkpoint)
    rows = sorted(inspect(detector, data, suspects), key=lambda row: -row.score)
    write_table(folder / "audit.csv", rows)
    found = found_among(rows, {data.class_names[label] for label in data.roles.anomalous})
    write_json(folder / "audit.json", {"images": len(rows), "score": detector.score_name, **found})
    page = write_gallery(folder / "audit.html", gallery(detector, suspects, rows, found, checkpoint))
    console = Console()
    console.print(
        f"{len(rows):,} unlabelled images, {sum(row.is_anomalous for row in rows):,} of them called anomalous."
    )
    for sentence in sentences(found):
        console.print(sentence)
    console.print(f"Ranking: {folder / 'audit.csv'}", soft_wrap=True, markup=False)
    console.print(f"Page: {page}", style="bold", soft_wrap=True, markup=False)


def check_pool(detector: Detector, data: Any, checkpoint: Path) -> None:
    """Raises ValueError unless the pool is what the checkpoint was trained on: no image of a test is audited."""
    earlier = detector.data
    pool = np.union1d(data.splits.train, data.splits.val)
    if data.source.name != earlier["name"] or not np.isin(pool, earlier["used"]).all():
        raise ValueError(
            f"the images of {data.source.name} are not those that {checkpoint} was trained on: give the same data, as"
            " they were then, in data.root"
        )


def inspect(detector: Detector, data: Any, suspects: Suspects) -> list[Row]:
    """Scores everything unlabelled; the cards of the most suspicious go to `suspects`."""
    rows = list[Row]()
    n_images = len(data.splits.train) + len(data.splits.val)
    with progress_bar(n_images, "Auditing", "images") as advance:
        for batch in data.unlabelled_dataloader():
            indices = batch.indices.tolist()
            paths = [data.path_of(index) for index in indices]
            splits = np.where(np.isin(indices, data.splits.train), "train", "val").tolist()
            for index, split, found in zip(indices, splits, detector.inspect_batch(batch.images, paths), strict=True):
                rows.append(row(index, split, found, data))
                suspects.add(Seen(index, found))
            advance(len(batch.images))
    return rows


def row(index: int, split: str, found: Detection, data: Any) -> Row:
    facts = (index, str(found.path), data.class_name_of(index), split)
    return Row(*facts, found.score, found.is_anomalous, found.terms)


def write_table(path: Path, rows: list[Row]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["rank", "index", "path", "class", "split", "score", "decision", *rows[0].terms])
        for rank, entry in enumerate(rows, start=1):
            facts = [rank, entry.position, entry.path, entry.class_name, entry.split, repr(entry.score)]
            writer.writerow([*facts, int(entry.is_anomalous), *map(repr, entry.terms.values())])


def found_among(rows: list[Row], anomalous: set[str]) -> dict[str, float]:
    """How many of the hidden anomalies are among the first images of the ranking; empty where none is known of.

    Only where the data set's own classes say what is anomalous, as in a benchmark; the ranking knows nothing of it.
    """
    hidden: NDArray[np.bool_] = np.array([entry.class_name in anomalous for entry in rows])
    if not hidden.any():
        return {}
    counts = {share: int(hidden[: round(share * len(rows))].sum()) for share in SHARES}
    shares = {f"found_in_first_{100 * share:g}%": count / int(hidden.sum()) for share, count in counts.items()}
    return {"hidden_anomalies": int(hidden.sum()), **shares}


def sentences(found: dict[str, float]) -> list[str]:
    """What `found_among` says, in words."""
    if not found:
        return []
    parts = [
        f"{100 * share:.0f} % among the first {name.removeprefix('found_in_first_').removesuffix('%')} %"
        for name, share in found.items()
        if name != "hidden_anomalies"
    ]
    return [f"Of the {found['hidden_anomalies']:,} hidden anomalies of this benchmark are found {', '.join(parts)}."]


def gallery(
    detector: Detector, suspects: Suspects, rows: list[Row], found: dict[str, float], checkpoint: Path
) -> Gallery:
    """The page of the most suspicious images."""
    shown = suspects.ranked()
    return Gallery(
        title="Unlabelled training images, the most suspicious first",
        lead=[
            f"Shown are {len(shown)} of {len(rows):,} images that training took for normal.",
            *sentences(found),
            "Which of them are anomalous? Keep their rows in a copy of audit.csv, or write their paths into a file, one"
            " a line: the next training takes them out of the pool and learns them as known anomalies.",
        ],
        cards=cards(shown, detector),
        facts={"detector": detector.name, "score": detector.score_name, "checkpoint": str(checkpoint)},
        commands={
            "To train again with what you confirmed, add to its command": "data.known_list=confirmed.csv",
            "To repeat this audit": command(),
        },
        scores=np.array([entry.score for entry in rows]),
        threshold=detector.threshold,
        has_overlays=detector.map_scale is not None,
    )
