"""What the runs of table 2 say beyond the table: differences between rows, paired by draw, with 95 % intervals.

python experiments/table2/collect.py outputs/table2/runs.csv
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t

METRIC = "auroc"
Key = tuple[str, str, str, str]  # setting, method, N, seed


def read(file: Path) -> dict[Key, float]:
    """AUROC of every finished run."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["state"] == "finished"]
    return {(row["setting"], row["method"], row["class"], row["seed"]): float(row[METRIC]) for row in rows}


def interval(differences: Sequence[float]) -> str:
    """Mean and half the width of Student's 95 % interval; draws are independent of each other."""
    values = np.array(differences)
    if len(values) < 2:
        return f"{values.mean():+.3f} (one draw)"
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} ± {half:.3f} ({len(values)} draws)"


def between_methods(found: dict[Key, float], one: str, other: str) -> None:
    """One method's AUROC less another's, by the number of categories."""
    print(f"\n{one} less {other}, AUROC")
    for n in sorted({key[2] for key in found}):
        pairs = [
            value - found[setting, other, n, seed]
            for (setting, method, m, seed), value in found.items()
            if method == one and m == n and (setting, other, n, seed) in found
        ]
        if pairs:
            print(f"  N = {n}: {interval(pairs)}")


def between_features(found: dict[Key, float], one: str, other: str, protocol: str, only: str | None = None) -> None:
    """What classical methods gain by other features: the mean over methods (or `only` one), paired by draw."""
    print(f"\n{one} less {other}, {protocol}, AUROC, {only or 'mean over the classical methods'}")
    gains = defaultdict[tuple[str, str], list[float]](list)
    for (setting, method, n, seed), value in found.items():
        partner = (f"{protocol}_{other}", method, n, seed)
        if setting == f"{protocol}_{one}" and partner in found and only in (None, method):
            gains[n, seed].append(value - found[partner])
    for n in sorted({n for n, _ in gains}):
        print(f"  N = {n}: {interval([float(np.mean(values)) for (m, _), values in gains.items() if m == n])}")


def main(file: Path) -> None:
    found = read(file)
    if not found:
        sys.exit(f"{file} holds no finished run: make the table first")
    between_methods(found, "semigan", "anogan")
    between_methods(found, "semigan", "gan")
    between_features(found, "discriminator", "pixels", "inductive")
    between_features(found, "discriminator", "pixels", "inductive", "cop")
    between_features(found, "pca", "pixels", "inductive")
    between_features(found, "pca", "pixels", "transductive")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
