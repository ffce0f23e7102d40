"""Who trains, who validates, who is tested: a pure function of labels, protocol and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.allotment import allot
from semigan_pl.data.division import Side, divide, used_images
from semigan_pl.data.groups import parts_of_groups
from semigan_pl.data.protocol import Positions, Protocol, assign_roles

NOTHING_TO_TEST = {  # kind of image that the test set lacks -> what to do
    "normal": "give it some (data=folder: in test/normal/ where there is test/), or raise data.test_share",
    "anomalous": (
        "a test needs a few known defects (data=folder: put their photos into anomalous/, or into test/anomalous/ where"
        " there is test/), and data.normal_classes must leave a class that is not normal"
    ),
}


class Splits(NamedTuple):
    """Positions in the image source, (n,) int64 each, sorted and pairwise disjoint."""

    train: Positions  # the unlabelled pool: normal images and hidden anomalies
    train_known: Positions  # known anomalies
    val: Positions  # unlabelled, with the same contamination (as near as groups and validation parts allow)
    val_known: Positions
    test: Positions


def draw_splits(
    classes: Positions,
    parts: NDArray[np.str_],
    protocol: Protocol,
    class_names: Sequence[str] | None = None,
    outlier_classes: Sequence[int] = (),
    groups: Sequence[str] | None = None,
) -> Splits:
    """Draws the splits. The test set depends neither on `contamination` nor on the known anomalies.

    Args:
        classes: label of every image, (n,).
        parts: "train", "val", "test", or "" where the data set does not say, (n,).
        class_names: name of every label; by default the labels themselves.
        outlier_classes: labels that can never be normal (a clutter class). Where there are any, all tested and hidden
            anomalies come from them; `max_per_class` spares them, as it does in the published Caltech-256 protocol.
        groups: name of every image's group, "" for none, (n,). A group is never divided between training, validation
            and test, see `parts_of_groups`; the shares are as near as whole groups allow.

    Raises:
        ValueError: a class does not exist, or there are fewer images or groups than the protocol asks for.
    """
    if class_names is None:
        class_names = [str(label) for label in range(int(classes.max(initial=-1)) + 1)]
    roles = assign_roles(classes, protocol, class_names, outlier_classes)
    if protocol.merge_parts:
        parts = np.full(len(classes), "", dtype="<U5")
    used = used_images(classes, parts, roles, protocol, outlier_classes)
    grouped = groups is not None and any(groups)
    if grouped:
        parts = np.array(parts, dtype="<U5")
        parts[used] = parts_of_groups(classes[used], parts[used], np.asarray(groups)[used], roles, protocol)
    sides = divide(classes, parts, used, roles, protocol)
    allotment = allot(sides, np.isin(classes, roles.known), protocol, grouped)
    test = _draw_test(sides.test, classes, protocol)
    return Splits(*(np.sort(positions) for positions in (*allotment, test)))


def _draw_test(side: Side, classes: Positions, protocol: Protocol) -> Positions:
    normals, anomalies = side.normals, side.anomalies
    for positions, kind in ((normals, "normal"), (anomalies, "anomalous")):
        if not len(positions):
            raise ValueError(f"the test set holds no {kind} image: {NOTHING_TO_TEST[kind]}")
    sizes = _test_sizes(len(normals), len(anomalies), protocol)
    if min(sizes) == 0:
        raise ValueError(
            f"the test set would hold {sizes[0]} normal and {sizes[1]} anomalous images: raise data.test_limit or"
            " change data.outlier_share"
        )
    groups = zip((normals, anomalies), sizes, strict=True)
    return np.concatenate([_stratified(group, classes, size) for group, size in groups])


def _test_sizes(n_normals: int, n_anomalies: int, protocol: Protocol) -> tuple[int, int]:
    """(normal, anomalous) images in the test set: the wanted share by dropping as few as possible, then the limit."""
    if (share := protocol.outlier_share) is not None:
        wanted = round(share / (1 - share) * n_normals)
        if wanted <= n_anomalies:
            n_anomalies = wanted
        else:
            n_normals = min(n_normals, round((1 - share) / share * n_anomalies))
    total = n_normals + n_anomalies
    if protocol.test_limit is None or protocol.test_limit >= total:
        return n_normals, n_anomalies
    return tuple(apportion(np.array([n_normals, n_anomalies]), protocol.test_limit).tolist())


def _stratified(shuffled: Positions, classes: Positions, size: int) -> Positions:
    """The first images of each class in a shuffled list, in proportion to the classes."""
    labels, counts = np.unique(classes[shuffled], return_counts=True)
    quotas = apportion(counts, size)
    shares = zip(labels, quotas, strict=True)
    return np.concatenate([shuffled[classes[shuffled] == label][:quota] for label, quota in shares])


def apportion(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Divides `total` in proportion to `counts` by largest remainder; ties go to the first."""
    exact = counts * total  # in units of 1 / counts.sum(), so that the arithmetic is exact
    quotas, remainders = np.divmod(exact, counts.sum())
    quotas[np.argsort(-remainders, kind="stable")[: total - quotas.sum()]] += 1
    return quotas
