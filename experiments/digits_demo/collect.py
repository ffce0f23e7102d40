"""Runs of the demo's study as two markdown tables: python experiments/digits_demo/collect.py multirun"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from pathlib import Path

import numpy as np

from semigan_pl.evaluation.metrics import auroc

TERMS = ("anogan", "discrimination", "residual", "critic", "fused")


def metrics(folder: Path) -> dict[str, float]:
    content: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return content


def by_gamma(folder: Path) -> None:
    """Test AUROC of every term for each seed and gamma, and the mean over the seeds."""
    print("| gamma | seed | " + " | ".join(TERMS) + " |\n|---|---|" + "---|" * len(TERMS))
    for gamma in ("0.5", "1"):
        runs = [metrics(path) for path in sorted(folder.glob(f"model.gamma={gamma},seed=*"))]
        for run in runs:
            print(f"| {gamma} | {run['seed']} | " + " | ".join(f"{run[f'test/auroc_{t}']:.3f}" for t in TERMS) + " |")
        means = [[run[f"test/auroc_{term}"] for run in runs] for term in TERMS]
        cells = [f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}" for values in means]
        print(f"| {gamma} | mean | " + " | ".join(cells) + " |")


def hidden_kinds(folder: Path) -> None:
    """AUROC of search, critic and fused on the kind that was hidden, one run per kind."""
    terms = ("discrimination", "critic", "fused")
    print("\n| hidden kind | " + " | ".join(terms) + " |\n|---|" + "---|" * len(terms))
    table = []
    for path in sorted(folder.glob("without_*")):
        kind = path.name.removeprefix("without_")
        with (path / "scores.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["class"] == kind or row["label"] == "0"]
        labels = np.array([int(row["label"]) for row in rows])
        table.append([auroc(labels, np.array([float(row[term]) for row in rows])) or 0.0 for term in terms])
        print(f"| {kind} | " + " | ".join(f"{area:.3f}" for area in table[-1]) + " |")
    print("| mean | " + " | ".join(f"{area:.3f}" for area in np.mean(table, axis=0)) + " |")


def main() -> None:
    folder = Path(sys.argv[1])
    by_gamma(folder / "digits_demo")
    hidden_kinds(folder / "digits_hidden")


if __name__ == "__main__":
    main()
