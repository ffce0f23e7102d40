"""The study's runs as tables and pictures: python experiments/first_look/collect.py outputs/first_look"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

RUNS = ("tiles_semigan", "tiles_anogan", "screw_semigan", "screw_anogan", "manifest")
COLUMNS = ("test/auroc", "test/auroc_discrimination", "test/auroc_critic", "test/f1", "test/pixel_auroc")
MORE_COLUMNS = ("test/pixel_average_precision", "test/pixel_prevalence", "train/images_per_second")
TERMS = ("fused", "critic", "discrimination", "residual", "anogan")
SHARES = (0.05, 0.1, 0.2)
HERE = Path(__file__).parent


def numbers(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def photographs(folder: Path) -> list[list[str]]:
    """One row per run: image and pixel metrics."""
    rows = [["run", "tested", *(name.removeprefix("test/") for name in COLUMNS + MORE_COLUMNS)]]
    for name in RUNS:
        metrics, data = numbers(folder / name), json.loads((folder / name / "data.json").read_text())
        counts = data["counts"]["test"]
        n_normal = sum(counts[kind] for kind in data["normal_classes"])
        values = [f"{metrics[column]:.3f}" for column in COLUMNS + MORE_COLUMNS]
        rows.append([name, f"{n_normal} + {sum(counts.values()) - n_normal}", *values])
    return rows


def found(path: Path, term: str) -> list[float]:
    """Share of the hidden anomalies among the first SHARES of an audit, ranked by a term."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    hidden = np.array([row["class"] != "8" for row in rows])
    order = np.argsort([-float(row[term]) for row in rows], kind="stable")
    return [float(hidden[order][: round(share * len(rows))].sum() / hidden.sum()) for share in SHARES]


def audits(folder: Path) -> list[list[str]]:
    """One row per term: mean and deviation over the seeds. `fused` is the method's score and makes the ranking."""
    rows = [["ranked by", *(f"first {share:.0%}" for share in SHARES)]]
    paths = sorted(folder.glob("audit_*/audit.csv"))
    for term in TERMS:
        table = np.array([found(path, term) for path in paths])
        spread = table.std(axis=0, ddof=1) if len(paths) > 1 else np.zeros(len(SHARES))
        rows.append([term, *(f"{m:.3f} ± {s:.3f}" for m, s in zip(table.mean(axis=0), spread, strict=True))])
    with paths[0].open(newline="") as file:
        hidden = np.mean([row["class"] != "8" for row in csv.DictReader(file)])
    rows.append(["the best possible", *(f"{min(1, share / hidden):.3f}" for share in SHARES)])
    rows.append(["by chance", *(f"{share:.3f}" for share in SHARES)])
    return rows


def markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    folder = Path(sys.argv[1])
    tables = {"photographs": photographs(folder), "audits": audits(folder)}
    for name, rows in tables.items():
        print(f"{markdown(rows)}\n")
        with (HERE / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    for name in ("mnist_0", "mnist_confirmed"):
        metrics = numbers(folder / name)
        print(name, {key: round(metrics[f"test/{key}"], 3) for key in ("auroc", "auroc_anogan", "auroc_critic")})


if __name__ == "__main__":
    main()
