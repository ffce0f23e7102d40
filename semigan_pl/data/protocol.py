"""The knobs of the evaluation protocol, the same for every data set and every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.checks import is_number, number, share, shown, whole, yes_or_no

Positions = NDArray[np.int64]
ClassName = int | str
OUTLYING = "outlying"  # a word for data.known_classes: every class that is neither normal nor tested


@dataclass(frozen=True)
class Protocol:
    """What is normal, what is secretly wrong, what is known, and what is tested.

    Classes are given by name or by label. The data set's own division into training and test images is kept; where it
    has none, `test_share` of every normal class and `anomaly_test_share` of every anomalous class are tested.

    Args:
        normal_classes: the classes that are normal; ignored where `n_normal` is set.
        n_normal: so many normal classes, drawn by the seed. Neither of the two given: one class, drawn.
        max_per_class: keep the first so many images of each class (of each part), before anything else.
        contamination: share of the unlabelled pool that is secretly anomalous.
        known_anomalies: labelled anomalies, validation's included: a count, below 1 a share of the pool; None means all
            that are neither tested nor hidden.
        known_classes: classes that known anomalies may come from; None means every tested anomalous class. Where the
            data set has a class of outliers, the only one that is tested then, also ordinary classes that are not
            normal; "outlying" means all of these (Kimura & Yanagihara 2018 on Caltech-256).
        outlier_share: share of anomalies in the test set; None means all there are.
        test_limit: at most so many test images, stratified.
        merge_parts: forget the data set's own division.
        test_share: share of each normal class that is tested where the data set does not say.
        anomaly_test_share: the same of each anomalous class, rounded up; 1 leaves none to hide or to know.
        fold: test the fold-th of round(1 / test_share) blocks of every normal class, which together test each normal
            image once, and of every anomalous class as many as ever, from another place on; None means one split.
        validation_share: share of the pool, and of the known anomalies, that is left for validation.
        seed: the only source of chance.
    """

    normal_classes: Sequence[ClassName] | None
    n_normal: int | None
    max_per_class: int | None
    contamination: float
    known_anomalies: float | None
    known_classes: Sequence[ClassName] | None
    outlier_share: float | None
    test_limit: int | None
    merge_parts: bool
    test_share: float
    anomaly_test_share: float
    fold: int | None
    validation_share: float
    seed: int

    def __post_init__(self) -> None:
        _check_classes("normal_classes", self.normal_classes)
        if self.known_classes != OUTLYING:
            _check_classes("known_classes", self.known_classes)
        share("data.contamination", self.contamination)
        share("data.validation_share", self.validation_share)
        share("data.test_share", self.test_share, above_zero=True)
        number("data.anomaly_test_share", self.anomaly_test_share, above=0, most=1)
        yes_or_no("data.merge_parts", self.merge_parts)
        if self.outlier_share is not None:
            share("data.outlier_share", self.outlier_share, above_zero=True)
        for knob, least in (("n_normal", 1), ("max_per_class", 1), ("test_limit", 2)):
            if (count := getattr(self, knob)) is not None:
                whole(f"data.{knob}", count, least=least)
        whole("data.seed", self.seed, least=0)
        self._check_fold()
        known = self.known_anomalies
        if known is not None and (not is_number(known) or known < 0 or (known > 1 and known % 1)):
            raise ValueError(
                f"data.known_anomalies={shown(known)} is neither a count (0, 1, 2, ...) nor a share of the pool"
                " between 0 and 1: give one of the two"
            )

    def _check_fold(self) -> None:
        if self.fold is not None and not 1 < self.n_folds > whole("data.fold", self.fold, least=0):
            made = f"the folds 0 to {self.n_folds - 1}" if self.n_folds > 1 else "no folds"
            raise ValueError(
                f"data.fold={self.fold}: data.test_share={self.test_share} makes {made}, change one of them"
            )

    @property
    def n_folds(self) -> int:
        """Number of folds, each of which tests `test_share` of the normal images, as near as equal folds allow."""
        return round(1 / self.test_share)

    def known_budget(self, pool_size: int) -> int | None:
        """Number of known anomalies, validation's included, for a pool of `pool_size` images; None: all there are."""
        if self.known_anomalies is None:
            return None
        if 0 < self.known_anomalies < 1:
            return max(1, round(self.known_anomalies * pool_size))
        return int(self.known_anomalies)


class ClassRoles(NamedTuple):
    """Labels by the part they play. A class in none of the lists is not used at all."""

    normal: list[int]
    tested: list[int]  # anomalous: in the test set, and hidden in the pool
    known: list[int]  # those that known anomalies come from

    @property
    def outlying(self) -> list[int]:
        """Anomalous classes that are known and nothing else: never tested, never hidden."""
        return [label for label in self.known if label not in self.tested]

    @property
    def anomalous(self) -> list[int]:
        """Every class that is in use and not normal."""
        return [*self.tested, *self.outlying]


def assign_roles(
    classes: Positions, protocol: Protocol, class_names: Sequence[str], outlier_classes: Sequence[int] = ()
) -> ClassRoles:
    """Decides which classes are normal, tested and known.

    Args:
        classes: label of every image, (n,).
        class_names: name of every label; a label without images may be among them.
        outlier_classes: labels that can never be normal. Where there are any, all tested anomalies come from them.

    Raises:
        ValueError: a class does not exist, a known class is normal, too few classes for the draw.
    """
    present = [int(label) for label in np.unique(classes)]
    candidates = [label for label in present if label not in outlier_classes]
    normal = _normal_labels(candidates, protocol, class_names)
    tested = [label for label in (outlier_classes or present) if label in present and label not in normal]
    return ClassRoles(normal, tested, _known_labels(normal, tested, present, protocol.known_classes, class_names))


def _known_labels(
    normal: list[int],
    tested: list[int],
    present: list[int],
    wanted: Sequence[ClassName] | None,
    class_names: Sequence[str],
) -> list[int]:
    if wanted is None:
        return tested
    anomalous = [label for label in present if label not in normal]
    if wanted == OUTLYING:
        outlying = [label for label in anomalous if label not in tested]
        if not outlying:
            raise ValueError(
                "data.known_classes=outlying means the classes that are neither normal nor tested, and there are none"
                " here (data=caltech256 has some unless every category is normal): give a list, or null for all tested"
            )
        return outlying
    known = _labels("known_classes", wanted, present, class_names)
    for label in known:
        if label not in anomalous:
            raise ValueError(
                f"data.known_classes names {class_names[label]!r}, which is not anomalous here: choose among "
                f"{_listing(anomalous, class_names)}"
            )
    return known


def _normal_labels(candidates: list[int], protocol: Protocol, class_names: Sequence[str]) -> list[int]:
    if protocol.n_normal is None and protocol.normal_classes is not None:
        return _labels("normal_classes", protocol.normal_classes, candidates, class_names)
    count = protocol.n_normal or 1
    if count > len(candidates):
        raise ValueError(f"data.n_normal={count} asks for more classes than the {len(candidates)} that hold images")
    return sorted(generator(protocol.seed, "normal classes").permutation(candidates)[:count].tolist())


def _labels(option: str, wanted: Sequence[ClassName], allowed: list[int], class_names: Sequence[str]) -> list[int]:
    """Labels of classes given by name (tried first) or by label."""
    by_word = {str(label): label for label in allowed} | {class_names[label]: label for label in allowed}
    unknown = [word for word in wanted if str(word) not in by_word]
    if unknown or not wanted:
        what = f"names {unknown[0]!r}, which has no images here" if unknown else "is empty"
        raise ValueError(f"data.{option}={list(wanted)} {what}: choose among {_listing(allowed, class_names)}")
    return sorted({by_word[str(word)] for word in wanted})


def _listing(labels: Sequence[int], class_names: Sequence[str]) -> str:
    return ", ".join(f"{label} ({class_names[label]})" for label in labels) or "(none)"


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """An independent stream of chance for one purpose: turning one knob does not reshuffle what another one draws."""
    return np.random.default_rng([seed, *purpose.encode(), *numbers])


def _check_classes(knob: str, classes: object) -> None:
    """A word would pass for the list of its letters, and a number is the likeliest slip of all."""
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Sequence)):
        raise ValueError(f"data.{knob}={shown(classes)} must be a list: write 'data.{knob}=[{shown(classes)}]'")
