"""Runs of the study to one table and one picture: python experiments/mnist_gamma/collect.py MULTIRUN_FOLDER"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from semigan_pl.evaluation.metrics import auroc

HERE = Path(__file__).parent
SETTINGS = ("clean", "all kinds known", "only ones known")
COLUMNS = ("anogan", "discrimination", "residual", "critic", "fused")
Row = dict[str, object]


def read(folder: Path) -> Row:
    """One finished run as a row: its settings, and every AUROC of the test subset and of validation."""
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    metrics = json.loads((folder / "metrics.json").read_text())
    known = config.data.known_classes
    setting = SETTINGS[0] if config.data.contamination == 0 else SETTINGS[1 if known is None else 2]
    row: Row = {"setting": setting, "gamma": config.model.gamma, "seed": config.seed}
    row |= {f"{split}/{term}": metrics[f"{split}/auroc_{term}"] for split in ("val", "test") for term in COLUMNS}
    if known is not None or config.model.gamma == 1:
        row |= {f"unseen/{term}": value for term, value in unseen(folder, known or [1]).items()}
    for key in ("train/images_seen", "train/seconds", "git"):
        row[key] = metrics[key]
    return row


def with_baseline(rows: list[Row]) -> list[Row]:
    """At gamma = 1 no known anomaly is used, so the contaminated runs are the baseline of both known settings."""
    baseline = [row for row in rows if row["setting"] == SETTINGS[1] and row["gamma"] == 1]
    return rows + [{**row, "setting": SETTINGS[2]} for row in baseline]


def unseen(folder: Path, known: list[int]) -> dict[str, float]:
    """AUROC of every term over the anomalous classes other than the known ones, from scores.csv."""
    with (folder / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] not in map(str, known)]
    labels = np.array([int(row["label"]) for row in rows])
    return {t: auroc(labels, np.array([float(row[t]) for row in rows])) or 0.0 for t in COLUMNS}


def summarise(rows: list[Row]) -> str:
    """Mean and deviation over seeds as a markdown table."""
    groups: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["setting"]), float(str(row["gamma"]))].append(row)
    lines = ["| setting | gamma | seeds | " + " | ".join([*COLUMNS, *(f"{t}, unseen" for t in COLUMNS)]) + " |"]
    lines.append("|---" * (3 + 2 * len(COLUMNS)) + "|")
    for (setting, gamma), group in sorted(groups.items(), key=lambda item: (SETTINGS.index(item[0][0]), -item[0][1])):
        cells = [cell(group, f"test/{t}") for t in COLUMNS] + [cell(group, f"unseen/{t}") for t in COLUMNS]
        lines.append(f"| {setting} | {gamma:g} | {len(group)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(group: list[Row], key: str) -> str:
    values = [float(str(row[key])) for row in group if key in row]
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


def draw(rows: list[Row], path: Path) -> None:
    """AUROC against gamma, a panel per setting, a line per score."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    views = (
        (SETTINGS[1], "test", "all kinds known\n"),
        (SETTINGS[2], "test", "only ones known:\nall anomalies"),
        (SETTINGS[2], "unseen", "only ones known:\nthe eight unseen kinds"),
    )
    styles = {
        "anogan": ("#0072B2", "o-"),
        "discrimination": ("#009E73", "s--"),
        "critic": ("#D55E00", "^:"),
        "fused": ("#000000", "D-."),
    }
    for panel, (setting, split, title) in zip(panels, views, strict=True):
        for term, (colour, style) in styles.items():
            points: dict[float, list[float]] = defaultdict(list)
            for row in rows:
                if row["setting"] == setting and f"{split}/{term}" in row:
                    points[float(str(row["gamma"]))].append(float(str(row[f"{split}/{term}"])))
            gammas = sorted(points)
            means = [statistics.mean(points[g]) for g in gammas]
            spread = [statistics.stdev(points[g]) if len(points[g]) > 1 else 0.0 for g in gammas]
            panel.errorbar(gammas, means, spread, fmt=style, color=colour, capsize=3, label=term, markersize=5)
        panel.axhline(0.5, color="0.7", linewidth=1)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("gamma (1 = AnoGAN)")
    panels[0].set_ylabel("AUROC, mean and deviation of 3 seeds")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    folders = sorted(path.parent for path in Path(sys.argv[1]).rglob("metrics.json"))
    rows = [read(folder) for folder in folders]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    rows = with_baseline(rows)
    (HERE / "table.md").write_text(summarise(rows))
    draw(rows, HERE / "gamma.png")
    print(summarise(rows))


if __name__ == "__main__":
    main()
