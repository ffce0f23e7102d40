"""What there is to know about the images of a run before anybody trains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.survey import MaskSurvey, Survey, survey, survey_masks
from semigan_pl.evaluation.shortcuts import Separation, separation

STATISTICS = {  # column of the survey -> words
    "mean": "mean grey value",
    "contrast": "contrast",
    "width": "width",
    "height": "height",
    "aspect": "aspect",
    "file_size": "file size",
}
SEEN = {"mean": "seen_mean", "contrast": "seen_contrast"}  # what the network's image still shows of them


class Copies(NamedTuple):
    """Images with identical pixels."""

    positions: list[int]
    splits: list[str]  # that each of them is in
    is_leak: bool  # some are trained or calibrated on, and some are tested
    is_contradictory: bool  # some are normal and some anomalous


class Difference(NamedTuple):
    """One statistic of two groups of images."""

    separation: Separation
    medians: tuple[float, float]


class Comparison(NamedTuple):
    """Two groups of images that no trivial number should tell apart."""

    where: str
    groups: tuple[str, str]
    effect: str  # what a shortcut separates
    consequence: str  # of a shortcut; {cue} is put in
    stored: dict[str, Difference]  # by column of the survey
    seen: dict[str, Difference]  # the same for what the network sees

    @property
    def shortcuts(self) -> dict[str, Difference]:
        """Those that matter, by column: mean and contrast as seen, the others as stored."""
        return {name: found for name, found in (self.stored | self.seen).items() if found.separation.is_shortcut}


class Findings(NamedTuple):
    """All facts about the images that a run would use."""

    survey: Survey
    masks: MaskSurvey | None  # of the anomalous test images; None where the data set has none
    copies: list[Copies]  # the worst first
    comparisons: list[Comparison]


def find(data: AnomalyDataModule) -> Findings:
    """Reads every image that the splits use, once, and the masks of the test set.

    Raises ValueError if no image can be read.
    """
    found = survey(data.source, data.used, data.image_format)
    masks = None
    if data.has_pixel_truth:
        test = data.splits.test
        anomalous = set(test[np.isin(data.source.classes[test], data.roles.anomalous)].tolist())
        looks = [look for look in found.looks if look.position in anomalous]
        masks = survey_masks(data.source, looks, data.image_format)
    return Findings(found, masks, _copies(data, found), _comparisons(data, found))


def _copies(data: AnomalyDataModule, found: Survey) -> list[Copies]:
    split_of = {int(position): name for name, split in data.splits._asdict().items() for position in split}
    groups = []
    for positions in found.copies():
        splits = [split_of[position] for position in positions]
        kinds = {int(data.source.classes[position]) in data.roles.normal for position in positions}
        groups.append(Copies(positions, splits, "test" in splits and set(splits) != {"test"}, len(kinds) == 2))
    return sorted(groups, key=lambda group: (not group.is_leak, not group.is_contradictory))


def _comparisons(data: AnomalyDataModule, found: Survey) -> list[Comparison]:
    positions = found.column("position").astype(np.int64)
    anomalous = np.isin(data.source.classes[positions], data.roles.anomalous)
    test = np.isin(positions, data.splits.test)
    known = np.isin(positions, np.concatenate([data.splits.train_known, data.splits.val_known]))
    pool = ~test & ~known  # of validation too
    return [
        Comparison(
            "test",
            ("normal", "anomalous"),
            "normal from anomalous test images",
            "a detector would learn {cue}, not defects",
            *_differences(found, test & ~anomalous, test & anomalous),
        ),
        Comparison(
            "training",
            ("unlabelled", "known"),
            "unlabelled images from known anomalies",
            "the known anomalies would teach {cue}, not defects",
            *_differences(found, pool, known),
        ),
        Comparison(
            "normal",
            ("training", "test"),
            "normal training images from normal test images",
            "anything new would be called anomalous by {cue}",
            *_differences(found, pool & ~anomalous, test & ~anomalous),
        ),
    ]


def _differences(
    found: Survey, first: np.ndarray, second: np.ndarray
) -> tuple[dict[str, Difference], dict[str, Difference]]:
    """Statistics of two groups, given as rows of the survey: as stored, and as seen."""

    def difference(column: str) -> Difference | None:
        values = found.column(column)
        separated = None if np.isnan(values).any() else separation(values[first], values[second])
        if separated is None:
            return None
        return Difference(separated, (float(np.median(values[first])), float(np.median(values[second]))))

    stored = {name: difference(name) for name in STATISTICS}
    seen = {name: difference(column) for name, column in SEEN.items()}
    return _there(stored), _there(seen)


def _there(differences: dict[str, Difference | None]) -> dict[str, Difference]:
    return {name: found for name, found in differences.items() if found is not None}
