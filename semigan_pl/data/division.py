"""Which images can be trained on, which validate and which are tested, before any anomaly is allotted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.protocol import ClassRoles, Positions, Protocol, generator

PARTS = ("train", "val", "test")
ROLES = NORMALS, ANOMALIES, OUTLYING = range(3)  # places in Side


class Side(NamedTuple):
    """Positions of images by the role of their class, (n,) int64 each, in an order drawn by the seed."""

    normals: Positions
    anomalies: Positions  # of classes that are tested
    outlying: Positions  # of anomalous classes that can be known and nothing else


class Sides(NamedTuple):
    """The images by side. Outlying images that the data set itself would test are used by nobody."""

    train: Side
    val: Side  # filled only where the data set has its own validation images, or groups
    test: Side


def used_images(
    classes: Positions,
    parts: NDArray[np.str_],
    roles: ClassRoles,
    protocol: Protocol,
    outlier_classes: Sequence[int],
) -> NDArray[np.bool_]:
    """The first `max_per_class` images of each class and part, as a mask (n,); outlier classes are not cut.

    Raises:
        ValueError: a fold is wanted of images that the data set itself has divided.
    """
    used = np.zeros(len(classes), dtype=bool)
    for label in (*roles.normal, *roles.anomalous):
        limit = None if label in outlier_classes else protocol.max_per_class
        for part in np.unique(parts):
            used[np.flatnonzero((classes == label) & (parts == part))[:limit]] = True
    if protocol.fold is not None and (parts[used] != "").any():
        raise ValueError(
            f"data.fold={protocol.fold} cannot be drawn, since the data set itself says which images are for training"
            " and which for the test: forget that with data.merge_parts=true, or leave data.fold=null"
        )
    return used


def divide(
    classes: Positions, parts: NDArray[np.str_], used: NDArray[np.bool_], roles: ClassRoles, protocol: Protocol
) -> Sides:
    """Divides the images of every class that the data set leaves undivided, and keeps to its parts elsewhere."""
    lists: dict[str, list[Positions]] = {f"{part} {role}": [] for part in PARTS for role in ROLES}
    for role, labels in zip(ROLES, (roles.normal, roles.tested, roles.outlying), strict=True):
        for label in labels:
            of_label = used & (classes == label)
            undivided = np.flatnonzero(of_label & (parts == ""))
            undivided = generator(protocol.seed, "division", label).permutation(undivided)
            start, n_test = _tested_block(len(undivided), role, protocol)
            undivided = np.roll(undivided, -start)
            lists[f"test {role}"].append(undivided[:n_test])
            lists[f"train {role}"].append(undivided[n_test:])
            for part in PARTS:
                lists[f"{part} {role}"].append(np.flatnonzero(of_label & (parts == part)))
    joined = {side: np.concatenate([np.array([], dtype=np.int64), *found]) for side, found in lists.items()}
    # A fold's own block comes first in each class and stays there: where outlier_share or test_limit leave but a few
    # anomalies in the test, those of two folds differ.
    in_order = ["test 0", "test 1"] if protocol.fold is not None and (parts[used] == "").all() else []
    shuffled = {
        side: positions if side in in_order else generator(protocol.seed, side).permutation(positions)
        for side, positions in joined.items()
    }
    return Sides(*(Side(*(shuffled[f"{part} {role}"] for role in ROLES)) for part in PARTS))


def _tested_block(n_images: int, role: int, protocol: Protocol) -> tuple[int, int]:
    """(first, number) of the tested images in the shuffled order of an undivided class."""
    if role == OUTLYING:
        return 0, 0
    fold, n_folds = protocol.fold or 0, protocol.n_folds
    start = fold * n_images // n_folds
    if role == ANOMALIES:
        # Rounded up: without anomalies there is no test. Less a trifle, since 0.1 * 30 is a trifle above 3.
        return start, math.ceil(protocol.anomaly_test_share * n_images - 1e-9)
    if protocol.fold is None:
        return 0, round(protocol.test_share * n_images)
    return start, (fold + 1) * n_images // n_folds - start
