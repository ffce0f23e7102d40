"""The study's runs as tables and pictures: python experiments/first_look/collect.py outputs/first_look"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from semigan_pl.atomic import write_bytes
from semigan_pl.report.style import LIGHT, Theme, render

RUNS = ("tiles_semigan", "screw_semigan", "screw_anogan", "manifest")
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


def found(path: Path, term: str, shares: Iterable[float] = SHARES) -> list[float]:
    """Share of the hidden anomalies among the first images of an audit, ranked by a term."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    hidden = np.array([row["class"] != "8" for row in rows])
    order = np.argsort([-float(row[term]) for row in rows], kind="stable")
    return [float(hidden[order][: round(share * len(rows))].sum() / hidden.sum()) for share in shares]


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


def audit_curve(folder: Path) -> None:
    """How much of the pool one must look through to find how many of the hidden anomalies; mean over the seeds."""
    paths = sorted(folder.glob("audit_*/audit.csv"))

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        shares = np.linspace(0, 0.5, 101)
        axes.plot(shares, np.minimum(1, shares / 0.1), color=theme.muted, linewidth=0.8, label="the best possible")
        for term, style in zip(TERMS, ("-", "--", "-.", ":", (0, (5, 1, 1, 1))), strict=True):
            curve = np.mean([found(path, term, shares) for path in paths], axis=0)
            axes.plot(shares, curve, linestyle=style, linewidth=2.2 if term == "fused" else 1.3, label=term)
        axes.plot(shares, shares, color=theme.muted, linewidth=0.8, linestyle=":", label="by chance")
        axes.set(
            xlabel="looked through, share of the pool", ylabel="found, share of the hidden anomalies", ylim=(0, 1.02)
        )
        axes.legend(loc="center right", bbox_to_anchor=(1, 0.66))

    write_bytes(HERE / "audit.png", render(draw, LIGHT))


def new_images(folder: Path) -> str:
    """Whether every number said of a new image is that of the test run, and how many images there were."""
    with (folder / "predict" / "predictions.csv").open(newline="") as file:
        new = {int(Path(row["path"]).stem): row for row in csv.DictReader(file)}
    with (folder / "tiles_semigan" / "scores.csv").open(newline="") as file:
        tested = {int(row["index"]): row for row in csv.DictReader(file)}
    columns = ("score", "decision", *TERMS)
    equal = sum(all(row[column] == tested[index][column] for column in columns) for index, row in new.items())
    return (
        f"task=predict: of {len(new)} images {equal} have every score and decision of the test run, to the last digit"
    )


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
    audit_curve(folder)
    print(new_images(folder))
    print("audit without known anomalies:", found(folder / "first_audit" / "audit.csv", "anogan"))
    for name in ("mnist_0", "mnist_confirmed", "mnist_none", "mnist_learned"):
        metrics = numbers(folder / name)
        print(name, {key: round(metrics[f"test/{key}"], 3) for key in ("auroc", "auroc_anogan", "auroc_critic")})


if __name__ == "__main__":
    main()
