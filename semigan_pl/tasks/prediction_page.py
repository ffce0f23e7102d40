"""The page of a prediction: its most suspicious images."""

from __future__ import annotations

import numpy as np

from semigan_pl.data.cache import listing
from semigan_pl.data.image_source import ImageSource
from semigan_pl.detector import Detector
from semigan_pl.progress import progress_bar
from semigan_pl.report.gallery import Gallery
from semigan_pl.tasks.inspection import inspected
from semigan_pl.tasks.suspects import Seen, Suspects, cards, command
from semigan_pl.tasks.unfinished import Rows


def most_suspicious(detector: Detector, source: ImageSource, rows: Rows, suspects: Suspects) -> list[Seen]:
    """The images of the page. Those that this process has not seen, or not since it started, it inspects once more."""
    order = np.argsort(-rows.scores, kind="stable")
    chosen = order[rows.ends[order] > 0][: suspects.limit].tolist()
    seen = {one.position: one for one in suspects.ranked()}
    again = [position for position in chosen if position not in seen]
    with progress_bar(len(again), "Looking again at the most suspicious", "images", patience=1) as advance:
        for block in inspected(detector, source, again, {}):
            seen |= {one.position: one for one in block}
            advance(len(block))
    return [seen[position] for position in chosen if position in seen]  # a file may have gone since


def gallery(detector: Detector, shown: list[Seen], rows: Rows, broken: list[str]) -> Gallery:
    """The page of the most suspicious images."""
    scores = rows.scores[rows.ends > 0]
    lead = [f"{rows.decisions.sum():,} of {len(scores):,} images are called anomalous."]
    if len(shown) < len(scores):
        lead.append(f"Shown are the {len(shown)} most suspicious; all scores are in predictions.csv.")
    if broken:
        lead.append(f"{len(broken)} images could not be read: {listing(broken)}.")
    return Gallery(
        title="New images, the most suspicious first",
        lead=lead,
        cards=cards(shown, detector),
        facts={"detector": detector.name, "score": detector.score_name},
        commands={"To repeat it": command()},
        scores=scores,
        threshold=detector.threshold,
        has_overlays=detector.map_scale is not None,
    )
