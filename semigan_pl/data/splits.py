"""Who trains, who validates, who is tested: a pure function of labels, protocol and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.groups import parts_of_groups
from semigan_pl.data.protocol import ClassRoles, Positions, Protocol, assign_roles, generator

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


class _Sides(NamedTuple):
    """The images by role, before any anomaly is allotted."""

    train_normals: Positions
    train_anomalies: Positions
    val_normals: Positions  # only where the data set has its own validation images, or groups
    val_anomalies: Positions
    test_normals: Positions
    test_anomalies: Positions


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
        outlier_classes: labels that can never be normal (a clutter class). Where there are any, all anomalies come
            from them; `max_per_class` spares them, as it does in the published Caltech-256 protocol.
        groups: name of every image's group, "" for none, (n,). A group is never divided between training, validation
            and test, see `parts_of_groups`; the shares are as near as whole groups allow.

    Raises:
        ValueError: a class does not exist, or there are fewer images or groups than the protocol asks for.
    """
    if class_names is None:
        class_names = [str(label) for label in range(int(classes.max(initial=-1)) + 1)]
    roles = assign_roles(classes, protocol, class_names, outlier_classes)
    used = _used(classes, parts, roles, protocol, outlier_classes)
    grouped = groups is not None and any(groups)
    if grouped:
        parts = np.array(parts, dtype="<U5")
        parts[used] = parts_of_groups(classes[used], parts[used], np.asarray(groups)[used], roles, protocol)
    sides = _divide(classes, parts, used, roles, protocol)
    train, train_known, val, val_known = _allot(sides, classes, roles, protocol, grouped)
    test = _draw_test(sides, classes, protocol)
    return Splits(*(np.sort(positions) for positions in (train, train_known, val, val_known, test)))


def _used(
    classes: Positions,
    parts: NDArray[np.str_],
    roles: ClassRoles,
    protocol: Protocol,
    outlier_classes: Sequence[int],
) -> NDArray[np.bool_]:
    """The first `max_per_class` images of each class and part, as a mask (n,); outlier classes are not cut."""
    used = np.zeros(len(classes), dtype=bool)
    for label in (*roles.normal, *roles.anomalous):
        limit = None if label in outlier_classes else protocol.max_per_class
        for part in np.unique(parts):
            used[np.flatnonzero((classes == label) & (parts == part))[:limit]] = True
    return used


def _divide(
    classes: Positions, parts: NDArray[np.str_], used: NDArray[np.bool_], roles: ClassRoles, protocol: Protocol
) -> _Sides:
    """Training, validation and test side of normal and anomalous classes, each in an order drawn by the seed."""
    sides: dict[str, list[Positions]] = {f"{part} {role}": [] for part in ("train", "val", "test") for role in (0, 1)}
    for role, labels in enumerate((roles.normal, roles.anomalous)):
        for label in labels:
            of_label = used & (classes == label)
            undivided = np.flatnonzero(of_label & (parts == ""))
            undivided = generator(protocol.seed, "division", label).permutation(undivided)
            # An odd anomalous image is tested: without anomalies there is no test.
            n_test = (len(undivided) + 1) // 2 if role else round(protocol.test_share * len(undivided))
            sides[f"test {role}"].append(undivided[:n_test])
            sides[f"train {role}"].append(undivided[n_test:])
            for part in ("train", "val", "test"):
                sides[f"{part} {role}"].append(np.flatnonzero(of_label & (parts == part)))
    joined = {side: np.concatenate([np.array([], dtype=np.int64), *lists]) for side, lists in sides.items()}
    return _Sides(*(generator(protocol.seed, side).permutation(positions) for side, positions in joined.items()))


def _allot(
    sides: _Sides, classes: Positions, roles: ClassRoles, protocol: Protocol, grouped: bool
) -> tuple[Positions, ...]:
    """(train, train_known, val, val_known): the pool with its hidden anomalies, and the known ones."""
    train_normals, val_normals = sides.train_normals, sides.val_normals
    per_normal = protocol.contamination / (1 - protocol.contamination)  # hidden anomalies per normal image
    if len(val_normals):
        n_hidden_train, n_hidden_val = (round(per_normal * len(normals)) for normals in (train_normals, val_normals))
    else:
        n_hidden = round(per_normal * len(train_normals))
        n_hidden_val = round(protocol.validation_share * n_hidden)
        n_hidden_train = n_hidden - n_hidden_val
        n_val = _validation_count(protocol.validation_share, len(train_normals))
        val_normals, train_normals = train_normals[:n_val], train_normals[n_val:]
    if not len(train_normals):
        raise ValueError("no normal image is left to train on: check data.normal_classes and data.max_per_class")
    if not len(val_normals):
        raise ValueError("no image is left to calibrate on: raise data.validation_share, or give more normal images")

    n_known = protocol.known_budget(len(train_normals) + len(val_normals) + n_hidden_train + n_hidden_val)
    allot = _allot_divided if grouped or len(sides.val_anomalies) else _allot_undivided
    anomalies = allot(sides, n_hidden_train, n_hidden_val, n_known, classes, roles, protocol)
    train_hidden, train_known, val_hidden, val_known = anomalies
    train = np.concatenate([train_normals, train_hidden])
    return train, train_known, np.concatenate([val_normals, val_hidden]), val_known


def _allot_undivided(
    sides: _Sides,
    n_hidden_train: int,
    n_hidden_val: int,
    n_known: int | None,
    classes: Positions,
    roles: ClassRoles,
    protocol: Protocol,
) -> tuple[Positions, ...]:
    """(train_hidden, train_known, val_hidden, val_known), where anomalies of the training side validate."""
    hidden, known = _take(sides.train_anomalies, n_hidden_train + n_hidden_val, n_known, classes, roles, protocol)
    n_known_val = _validation_count(protocol.validation_share, len(known))
    return hidden[n_hidden_val:], known[n_known_val:], hidden[:n_hidden_val], known[:n_known_val]


def _allot_divided(
    sides: _Sides,
    n_hidden_train: int,
    n_hidden_val: int,
    n_known: int | None,
    classes: Positions,
    roles: ClassRoles,
    protocol: Protocol,
) -> tuple[Positions, ...]:
    """The same, where training and validation keep to their own anomalies; what one lacks, the other gives."""
    train, val = sides.train_anomalies, sides.val_anomalies
    n_hidden = n_hidden_train + n_hidden_val
    n_hidden_val = _between(n_hidden - len(train), n_hidden_val, len(val))
    n_hidden_train = n_hidden - n_hidden_val
    of_train = of_val = None
    if n_known is not None:
        n_train, n_val = (
            int(np.isin(classes[anomalies[n:]], roles.known).sum())
            for anomalies, n in ((train, n_hidden_train), (val, n_hidden_val))
        )
        of_val = _between(n_known - n_train, _validation_count(protocol.validation_share, n_known), n_val)
        of_train = n_known - of_val
    return (
        *_take(train, n_hidden_train, of_train, classes, roles, protocol),
        *_take(val, n_hidden_val, of_val, classes, roles, protocol),
    )


def _between(least: int, wanted: int, most: int) -> int:
    return min(max(least, wanted), most)


def _validation_count(share: float, total: int) -> int:
    """`share` of `total`, but at least one where there are two to divide."""
    return min(max(round(share * total), 1 if share else 0), max(total - 1, 0))


def _take(
    anomalies: Positions,
    n_hidden: int,
    n_known: int | None,
    classes: Positions,
    roles: ClassRoles,
    protocol: Protocol,
) -> tuple[Positions, Positions]:
    """(hidden, known) anomalies; None known ones means all that remain. Hidden ones come from the front of the shuffled
    list and known ones from its back, so that one more of either kind leaves the others where they are."""
    if n_hidden > len(anomalies):
        raise ValueError(
            f"data.contamination={protocol.contamination} needs {n_hidden} hidden anomalies, but there are only"
            f" {len(anomalies)} anomalous images outside the test set: lower it"
        )
    rest = anomalies[n_hidden:][::-1]
    candidates = rest[np.isin(classes[rest], roles.known)]
    if n_known is not None and n_known > len(candidates):
        raise ValueError(
            f"data.known_anomalies={protocol.known_anomalies} needs {n_known} known anomalies, but the known classes"
            f" have {len(candidates)} images outside the test set (beside {n_hidden} hidden ones): lower it"
        )
    return anomalies[:n_hidden], candidates[:n_known]


def _draw_test(sides: _Sides, classes: Positions, protocol: Protocol) -> Positions:
    normals, anomalies = sides.test_normals, sides.test_anomalies
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
