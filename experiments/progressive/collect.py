"""The study's runs as tables: python experiments/progressive/collect.py OUTPUTS_FOLDER"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from semigan_pl.evaluation.metrics import auroc, f1_max_inlier

TERMS = ("residual", "discrimination", "anogan", "critic", "fused")
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for a 95 % interval of so many runs' mean
Metric = Callable[[np.ndarray, np.ndarray], float | None]


def finished(folder: Path) -> list[Path]:
    """Runs below a folder that came to their end."""
    return sorted(path.parent for path in folder.glob("*/metrics.json"))


def metrics(run: Path) -> dict[str, float]:
    """What the run measured."""
    content: dict[str, float] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


def by_term(run: Path, metric: Metric) -> dict[str, float]:
    """A metric of every term, from all test scores."""
    with (run / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows])
    return {term: metric(labels, np.array([float(row[term]) for row in rows])) or 0.0 for term in TERMS}


def spread(values: list[float]) -> str:
    """Mean, deviation, and the half-width of the 95 % interval of the mean."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    deviation = statistics.stdev(values)
    half = T_975[len(values)] * deviation / len(values) ** 0.5
    return f"{statistics.mean(values):.3f} ± {deviation:.3f} (interval ± {half:.3f})"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a markdown table."""
    head = list(head)
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def compare_networks(folder: Path) -> None:
    """MNIST: the growing network and DCGAN at equal training time, every seed and term."""
    rows = []
    for name in ("mnist_progressive", "mnist_dcgan"):
        for run in finished(folder / name):
            found, areas = metrics(run), by_term(run, auroc)
            minutes, images = found["train/seconds"] / 60, int(found["train/images_seen"])
            rows.append([name, run.name, f"{images:,}", f"{minutes:.0f}", *(f"{areas[term]:.3f}" for term in TERMS)])
    table(["network", "seed", "images", "minutes on the clock", *TERMS], rows)


def folds(folder: Path) -> None:
    """Caltech-256: both metrics of every term over the folds."""
    runs = finished(folder / "caltech")
    if not runs:
        return
    names: list[tuple[str, Metric]] = [("AUROC", auroc), ("F1 (inliers positive, best threshold)", f1_max_inlier)]
    found = [(name, [by_term(run, metric) for run in runs]) for name, metric in names]
    table(
        [f"{len(runs)} folds", *(name for name, _ in names)],
        ([term, *(spread([values[term] for values in of_runs]) for _, of_runs in found)] for term in TERMS),
    )


def pixels(folder: Path) -> None:
    """Surfaces: image and pixel metrics by the share of the pixels that a scratch covers."""
    rows = []
    for run in finished(folder / "surface"):
        found = metrics(run)
        keys = ("test/auroc", "test/pixel_auroc", "test/pixel_average_precision", "test/pixel_prevalence")
        rows.append([run.name, f"{found['train/seconds'] / 60:.0f}", *(f"{found[key]:.4f}" for key in keys)])
    head = ["share of the pixels", "minutes on the clock", "image AUROC", "pixel AUROC", "pixel AP", "prevalence"]
    table(head, rows)


if __name__ == "__main__":
    outputs = Path(sys.argv[1])
    compare_networks(outputs)
    folds(outputs)
    pixels(outputs)
