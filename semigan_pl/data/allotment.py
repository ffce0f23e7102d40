"""Which anomalies are hidden in the pool and which are known, for training and for validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semigan_pl.data.division import Side, Sides
from semigan_pl.data.protocol import Positions, Protocol, generator


class Allotment(NamedTuple):
    """Positions of what is not tested, (n,) int64 each, pairwise disjoint."""

    train: Positions
    train_known: Positions
    val: Positions
    val_known: Positions


class _Quota(NamedTuple):
    """Anomalies that are asked for."""

    hidden: int
    known: int | None  # None: all that are left


def allot(sides: Sides, can_be_known: NDArray[np.bool_], protocol: Protocol, grouped: bool) -> Allotment:
    """Divides the pool, hides its anomalies in it, and takes the known ones.

    Args:
        can_be_known: whether an image is of a class that known anomalies may come from, (n,).
        grouped: no anomaly may go from training to validation, since its group would be divided.

    Raises:
        ValueError: there are fewer images than the protocol asks for.
    """
    train_normals, val_normals, n_hidden_train, n_hidden_val = _pool(sides, protocol)
    n_known = protocol.known_budget(len(train_normals) + len(val_normals) + n_hidden_train + n_hidden_val)
    if grouped or len(sides.val.anomalies) or len(sides.val.outlying):
        of_train, of_val = _quotas(sides, n_hidden_train, n_hidden_val, n_known, can_be_known, protocol)
        train_hidden, train_known = _take(sides.train, of_train, can_be_known, protocol)
        val_hidden, val_known = _take(sides.val, of_val, can_be_known, protocol)
    else:  # anomalies of the training side validate
        hidden, known = _take(sides.train, _Quota(n_hidden_train + n_hidden_val, n_known), can_be_known, protocol)
        n_known_val = _validation_count(protocol.validation_share, len(known))
        val_hidden, train_hidden = hidden[:n_hidden_val], hidden[n_hidden_val:]
        val_known, train_known = known[:n_known_val], known[n_known_val:]
    train = np.concatenate([train_normals, train_hidden])
    return Allotment(train, train_known, np.concatenate([val_normals, val_hidden]), val_known)


def _pool(sides: Sides, protocol: Protocol) -> tuple[Positions, Positions, int, int]:
    """Normal images of training and of validation, and how many anomalies are to be hidden among each."""
    train_normals, val_normals = sides.train.normals, sides.val.normals
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
    return train_normals, val_normals, n_hidden_train, n_hidden_val


def _quotas(
    sides: Sides,
    n_hidden_train: int,
    n_hidden_val: int,
    n_known: int | None,
    can_be_known: NDArray[np.bool_],
    protocol: Protocol,
) -> tuple[_Quota, _Quota]:
    """What training and validation give, where each keeps to its own anomalies; what one lacks, the other gives."""
    train, val = sides.train.anomalies, sides.val.anomalies
    n_hidden = n_hidden_train + n_hidden_val
    n_hidden_val = _between(n_hidden - len(train), n_hidden_val, len(val))
    n_hidden_train = n_hidden - n_hidden_val
    if n_known is None:
        return _Quota(n_hidden_train, None), _Quota(n_hidden_val, None)
    n_train = int(can_be_known[train[n_hidden_train:]].sum()) + len(sides.train.outlying)
    n_val = int(can_be_known[val[n_hidden_val:]].sum()) + len(sides.val.outlying)
    of_val = _between(n_known - n_train, _validation_count(protocol.validation_share, n_known), n_val)
    return _Quota(n_hidden_train, n_known - of_val), _Quota(n_hidden_val, of_val)


def _between(least: int, wanted: int, most: int) -> int:
    return min(max(least, wanted), most)


def _validation_count(share: float, total: int) -> int:
    """`share` of `total`, but at least one where there are two to divide."""
    return min(max(round(share * total), 1 if share else 0), max(total - 1, 0))


def _take(
    side: Side, quota: _Quota, can_be_known: NDArray[np.bool_], protocol: Protocol
) -> tuple[Positions, Positions]:
    """(hidden, known) anomalies. Hidden ones come from the front of the shuffled list and known ones from its back, so
    that one more of either kind leaves the others where they are."""
    if quota.hidden > len(side.anomalies):
        raise ValueError(
            f"data.contamination={protocol.contamination} needs {quota.hidden} hidden anomalies, but there are only"
            f" {len(side.anomalies)} anomalous images outside the test set: lower it"
        )
    rest = side.anomalies[quota.hidden :][::-1]
    candidates = rest[can_be_known[rest]]
    if len(side.outlying):
        candidates = np.concatenate([candidates, side.outlying])
        order = generator(protocol.seed, "known anomalies").permutation(len(can_be_known))
        candidates = candidates[np.argsort(order[candidates])]
    if quota.known is not None and quota.known > len(candidates):
        raise ValueError(
            f"data.known_anomalies={protocol.known_anomalies} needs {quota.known} known anomalies, but the known"
            f" classes have {len(candidates)} images outside the test set (beside {quota.hidden} hidden ones): lower it"
        )
    return side.anomalies[: quota.hidden], candidates[: quota.known]
