"""Groups: images that belong together, such as shots of one object, go to training, validation or test as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.protocol import ClassRoles, Positions, Protocol, generator

MOST_ROUNDS = 10  # most sets of groups settle in two to five


def divided_group(parts: Sequence[str], groups: Sequence[str]) -> tuple[int, int] | None:
    """Positions of two images of one group that lie in different parts; None where no group is divided so."""
    first: dict[str, int] = {}
    for position, (part, group) in enumerate(zip(parts, groups, strict=True)):
        if part and group:
            earlier = first.setdefault(group, position)
            if parts[earlier] != part:
                return earlier, position
    return None


def parts_of_groups(
    classes: Positions, parts: NDArray[np.str_], groups: NDArray[np.str_], roles: ClassRoles, protocol: Protocol
) -> NDArray[np.str_]:
    """A part for every image, so that no group is divided.

    A group that the data set put in a part lies there whole. Every other one, in an order drawn by the seed, is tested
    if that brings the tested shares nearer to `test_share` of the normal and `anomaly_test_share` of the anomalous
    images, both of all of them and of each class (see `_nearest`); with a `fold`, groups that hold a normal image are
    tested in one fold each (see `_folds`). Then, unless the data set has normal validation images, groups of the
    training side validate in the same way. An image without a group is a group of its own, and a group of nothing but
    outlying images is never tested.

    Args:
        classes: label of every image, (n,).
        parts: "train", "val", "test", or "" where the data set does not say, (n,).
        groups: name of every image's group, "" for none, (n,).

    Returns:
        "train", "val" or "test", (n,).

    Raises:
        ValueError: the data set itself divides a group, or there are too few groups of normal images.
    """
    if (divided := divided_group(parts.tolist(), groups.tolist())) is not None:
        first, second = divided
        raise ValueError(
            f"group '{groups[first]}' lies in {parts[first]} and in {parts[second]}: a group is never divided, so put"
            " all of its images in one part"
        )
    members = _members(groups)
    content = _content(classes, members, roles.normal, roles.tested)  # the test does not depend on what is known
    of_group = np.full(len(content), "", dtype="<U5")
    of_group[members[parts != ""]] = parts[parts != ""]

    free = (of_group == "") & content.any(axis=1)
    of_group[of_group == ""] = "train"
    of_group[free] = np.where(_tested(content[free], roles, protocol), "test", "train")
    holds_normal = content[:, 0] > 0
    if protocol.validation_share and not (holds_normal & (of_group == "val")).any():
        training = np.flatnonzero(of_group == "train")
        content = _content(classes, members, roles.normal, roles.anomalous)
        shares = np.full(content.shape[1], protocol.validation_share)
        validating = _nearest(content[training], shares, generator(protocol.seed, "groups of validation"))
        of_group[training[validating]] = "val"
    _check(of_group[holds_normal], protocol)
    return of_group[members]


def _members(groups: NDArray[np.str_]) -> Positions:
    """Number of every image's group, (n,)."""
    members = np.empty(len(groups), dtype=np.int64)
    named = groups != ""
    names, members[named] = np.unique(groups[named], return_inverse=True)
    members[~named] = len(names) + np.arange((~named).sum())
    return members


def _content(classes: Positions, members: Positions, normal: list[int], anomalous: list[int]) -> NDArray[np.float64]:
    """Images of every group, (n_groups, 2 + n_classes): all normal ones, all anomalous ones, those of each class."""
    kinds = [np.isin(classes, normal), np.isin(classes, anomalous), *(classes == label for label in normal + anomalous)]
    n_groups = int(members.max(initial=-1)) + 1
    return np.stack([np.bincount(members[kind], minlength=n_groups) for kind in kinds], axis=1).astype(np.float64)


def _tested(content: NDArray[np.float64], roles: ClassRoles, protocol: Protocol) -> NDArray[np.bool_]:
    """Which groups are tested, (n_groups,)."""
    is_normal = [True, False, *([True] * len(roles.normal)), *([False] * len(roles.tested))]  # by column
    shares = np.where(is_normal, protocol.test_share, protocol.anomaly_test_share)
    if protocol.fold is None:
        return _nearest(content, shares, generator(protocol.seed, "groups of test"))
    tested = np.zeros(len(content), dtype=bool)
    holds_normal = content[:, 0] > 0
    tested[holds_normal] = _folds(content[holds_normal], protocol) == protocol.fold
    chance = generator(protocol.seed, "groups of test", protocol.fold)
    tested[~holds_normal] = _nearest(content[~holds_normal], shares, chance)
    return tested


def _folds(content: NDArray[np.float64], protocol: Protocol) -> Positions:
    """The fold of every group, (n_groups,): the largest first, each into the fold that holds least of its classes."""
    order = generator(protocol.seed, "groups of folds").permutation(len(content))
    order = order[np.argsort(-content[order, 0], kind="stable")]
    weights = 1 / np.maximum(content.sum(axis=0), 1) ** 2
    held = np.zeros((protocol.n_folds, content.shape[1]))
    folds = np.zeros(len(content), dtype=np.int64)
    for group in order:
        # Of all folds this one adds least to the sum of squared shares, hence to the distance from equal shares.
        folds[group] = np.argmin(held @ (weights * content[group]))
        held[folds[group]] += content[group]
    return folds


def _nearest(
    content: NDArray[np.float64], shares: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.bool_]:
    """Chooses groups, (n_groups,), that together hold nearly these shares (of each column of `content`).

    Goes round the groups, takes or returns each where that makes the sum of squared differences of shares smaller, and
    ends when a round changes nothing or after MOST_ROUNDS. Ties are taken, so that an only group of anomalies is
    tested; where there are two groups of a role, one is taken even if none is small enough.
    """
    totals = content.sum(axis=0)
    weights = 1 / np.maximum(totals, 1) ** 2
    excess = -shares * totals  # chosen less wanted, in images: exact for halves, so that ties are ties
    chosen = np.zeros(len(content), dtype=bool)

    def growth(step: NDArray[np.float64]) -> float:
        """What the distance grows by if these images are added."""
        return float(weights @ (step * (2 * excess + step)))

    order = chance.permutation(len(content))
    for _ in range(MOST_ROUNDS):
        settled = True
        for group in order:
            step = -content[group] if chosen[group] else content[group]
            grows = growth(step)
            if grows < 0 or (grows == 0 and not chosen[group]):
                excess += step
                chosen[group] = not chosen[group]
                settled = False
        if settled:
            break
    for role in (0, 1):
        holders = [group for group in order if content[group, role]]
        if len(holders) > 1 and not chosen[holders].any():
            least = min(holders, key=lambda group: growth(content[group]))
            excess += content[least]
            chosen[least] = True
    return chosen


def _check(of_normal_groups: NDArray[np.str_], protocol: Protocol) -> None:
    for part in ("train", "val", "test") if protocol.validation_share else ("train", "test"):
        if part not in of_normal_groups:
            raise ValueError(
                f"no group of normal images is left for {part}: there are {len(of_normal_groups)}, and a group is never"
                " divided, so give more and smaller groups"
            )
