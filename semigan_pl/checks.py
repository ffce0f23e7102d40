"""Numbers as they are typed: each check returns the value, or says in one sentence which option has a wrong one.

For constructors, so that nothing wrong survives until after the training. `option` is the name as one types it.
"""

from __future__ import annotations

import json
import math
from numbers import Integral, Real
from typing import Any


def shown(value: object) -> str:
    """A value as one types it: null, true, false, and all others as they are."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return isinstance(value, Integral) or math.isfinite(value)


def whole(option: str, value: Any, *, least: int) -> int:
    """A whole number from `least` on. Raises ValueError for anything else."""
    meant = ""
    if is_number(value) and value >= least and value % 1 == 0:
        if isinstance(value, Integral):
            return int(value)
        meant = f": write {int(value)}"  # what is typed as 1e5 arrives as 100000.0
    raise ValueError(f"{option}={shown(value)} must be a whole number, {least} or more{meant}")


def number(
    option: str, value: Any, *, least: float | None = None, above: float | None = None, most: float | None = None
) -> float:
    """A finite number within the bounds that are given. Raises ValueError for anything else."""
    inside = (
        is_number(value)
        and (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
    )
    if inside:
        return value  # type: ignore[no-any-return]
    bounds = (("{} or more", least), ("above {}", above), ("at most {}", most))
    allowed = ["a finite number", *(words.format(bound) for words, bound in bounds if bound is not None)]
    raise ValueError(f"{option}={shown(value)} must be {', '.join(allowed)}")


def share(option: str, value: Any, *, above_zero: bool = False) -> float:
    """A share, 0 <= value < 1; with `above_zero` 0 is none. Raises ValueError for anything else."""
    if is_number(value) and 0 <= value < 1 and not (above_zero and value == 0):
        return value  # type: ignore[no-any-return]
    raise ValueError(f"{option}={shown(value)} must lie in {'(0, 1)' if above_zero else '[0, 1)'}: it is a share")


def yes_or_no(option: str, value: Any) -> bool:
    """true or false. Raises ValueError for anything else."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"{option}={shown(value)} must be true or false")
