"""How long task=compare takes over a thousand runs, from typing the command to the page.

    python benchmarks/comparing.py RUN --runs 1000

`RUN` is a finished run's folder: the runs are copies of it over six gammas, three contaminations and as many seeds as
it takes, each with scores and metrics of its own (noise is added). They lie in a temporary folder, 0.6 MB each for
2,000 test images. `command` is the whole command; `reading` finds and reads the runs' small files alone, in this
process. Both are seconds. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import count, islice, product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semigan_pl.report.sweep_files import find_runs, read_sweep

ROOT = Path(__file__).resolve().parents[1]
GAMMAS, CONTAMINATIONS = (1.0, 0.9, 0.8, 0.7, 0.5, 0.3), (0.0, 0.1, 0.2)
NOISE = 0.1  # standard deviations of a run's scores


def copies(run: Path, place: Path, runs: int) -> None:
    """Makes that many runs below `place`."""
    config = yaml.safe_load((run / ".hydra" / "config.yaml").read_text(encoding="utf-8"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    with (run / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = np.array([float(row["score"]) for row in rows])
    settings = ((seed, *one) for seed in count() for one in product(CONTAMINATIONS, GAMMAS))
    for number, (seed, contamination, gamma) in enumerate(islice(settings, runs)):
        rng = np.random.default_rng(number)
        folder = place / f"data.contamination={contamination},model.gamma={gamma},seed={seed}"
        (folder / ".hydra").mkdir(parents=True)
        varied = {
            "data": config["data"] | {"contamination": contamination},
            "model": config["model"] | {"gamma": gamma},
        }
        text = yaml.safe_dump(config | varied | {"seed": seed}, sort_keys=False)
        (folder / ".hydra" / "config.yaml").write_text(text, encoding="utf-8")
        shutil.copy(run / ".hydra" / "overrides.yaml", folder / ".hydra")
        shutil.copy(run / "examples.npz", folder)
        _write_scores(folder / "scores.csv", rows, scores + rng.normal(0, NOISE * scores.std(), len(scores)))
        (folder / "metrics.json").write_text(json.dumps(_varied(metrics, rng)), encoding="utf-8")


def _write_scores(path: Path, rows: list[dict[str, str]], scores: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"score": repr(float(score))} for row, score in zip(rows, scores, strict=True))


def _varied(metrics: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Metrics of test and validation, each a little different."""
    measured = {key: value for key, value in metrics.items() if isinstance(value, float) and "/" in key}
    return metrics | {key: value * rng.uniform(0.9, 1) for key, value in measured.items()}


def main() -> None:
    """Makes the runs, times the comparison, prints the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print(f"making {options.runs} runs", flush=True)
        copies(options.run, Path(place) / "runs", options.runs)
        begun = time.perf_counter()
        found = read_sweep(find_runs([str(Path(place) / "runs")]))
        reading = time.perf_counter() - begun
        if troubles := [run.trouble for run in found if run.trouble]:
            sys.exit(f"{options.run} cannot be compared: {troubles[0]}")
        page = Path(place) / "page"
        typed = [sys.executable, str(ROOT / "run.py"), "task=compare", f"runs={place}/runs", f"run={page}"]
        begun = time.perf_counter()
        subprocess.run(typed, check=True, cwd=place)
        command = time.perf_counter() - begun
        size = (page / "compare.html").stat().st_size / 1e6
    seconds = {"reading": round(reading, 2), "command": round(command, 1)}
    print(json.dumps({"runs": len(found), **seconds, "page_mb": round(size, 1)}))


if __name__ == "__main__":
    main()
