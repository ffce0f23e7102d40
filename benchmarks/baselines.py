"""Seconds and memory of the classical baselines against the number of points: table and picture.

    python benchmarks/baselines.py FOLDER --points 500 1000 2000 5000 10000 20000 --seconds 900

writes FOLDER/baselines.csv and FOLDER/baselines.png. Points are feature-like: 128 numbers each, half of the points
inliers of three categories. Each method fits N of them and then scores them as new ones, in blocks, in a process of its
own, whose peak memory is read at the end; beside it stands what the process had with its points, before the fit. Where
a method takes longer than `--seconds`, its process is ended and larger N are left out. `--methods` takes some of them
only. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# What imports numpy is imported late: a new process may inherit the peak memory of the one that starts it.

METHODS = ("cop", "cop_1", "reaper", "dpcp", "lrr", "outlier_pursuit", "rgraph")
COLUMNS = ("method", "points", "fit_seconds", "score_seconds", "before_mib", "peak_mib", "auroc", "warnings")
WIDTH, CATEGORIES, BLOCK = 128, 3, 64


def baseline(name: str) -> Any:
    """A method with the parameters that conf gives it."""
    from semigan_pl.baselines.cop import CoP
    from semigan_pl.baselines.dpcp import DPCP
    from semigan_pl.baselines.lrr import LRR
    from semigan_pl.baselines.outlier_pursuit import OutlierPursuit
    from semigan_pl.baselines.reaper import REAPER

    if name == "rgraph":
        from semigan_pl.baselines.rgraph import RGraph

        return RGraph(alpha=5, lambda_=0.95, steps=1000)
    low_rank: dict[str, Any] = {"lambda_": None, "rho": 1.1, "tolerance": 1e-8, "iterations": 1000}
    return {
        "cop": lambda: CoP(power=2),
        "cop_1": lambda: CoP(power=1),
        "reaper": lambda: REAPER(dimension=None, tolerance=1e-8, iterations=200),
        "dpcp": lambda: DPCP(dimension=None, solver="irls", tolerance=1e-6, iterations=100),
        "lrr": lambda: LRR(**low_rank),
        "outlier_pursuit": lambda: OutlierPursuit(**low_rank),
    }[name]()


def peak_mib() -> float:
    """Of this process, so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def save_points(path: str, n: int) -> None:
    """Half of the points are inliers, and the first ones."""
    import numpy as np

    from tests.baselines.synthetic import feature_like

    np.save(path, feature_like(CATEGORIES, n - n // 2, n // 2, WIDTH, seed=0)[0])


def measure(name: str, n: int) -> dict[str, Any]:
    """One fit and the scores of as many points, in this process."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as other:
        # To draw them takes more memory than some of the methods do.
        other.submit(save_points, f"{folder}/points.npy", n).result()
        points = np.load(f"{folder}/points.npy")
    method, before = baseline(name), peak_mib()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        start = time.perf_counter()
        method.fit(points)
        fitted = time.perf_counter()
    for first in range(0, n, BLOCK):
        method.anomaly_score(points[first : first + BLOCK])
    end = time.perf_counter()
    peak, auroc = peak_mib(), roc_auc_score(np.arange(n) >= n - n // 2, method.own_scores)
    found = (name, n, fitted - start, end - fitted, before, peak, auroc, "; ".join(str(w.message) for w in told))
    shown = [round(value, 4) if isinstance(value, float) else value for value in found]
    return dict(zip(COLUMNS, shown, strict=True))


def measured(name: str, n: int, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The same in a process of its own; None if it takes too long."""
    command = [sys.executable, __file__, str(asked.folder), "--points", str(n), "--methods", name, "--here"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(asked.threads))
    try:
        done = subprocess.run(command, env=os.environ | threads, timeout=asked.seconds, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{name} has failed with {n} points\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def sweep(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All methods and numbers of points, up to the first one that takes too long."""
    rows = []
    for name in asked.methods:
        for n in sorted(asked.points):
            row = measured(name, n, asked)
            if row is None:
                print(f"{name}: {n} points take more than {asked.seconds:g} s, larger numbers are left out", flush=True)
                break
            print(
                "{method}: {points} points, fit {fit_seconds} s, scores {score_seconds} s, {peak_mib} MiB".format(**row)
            )
            rows.append(row)
    return rows


def write(rows: list[dict[str, Any]], folder: Path) -> None:
    """baselines.csv and baselines.png."""
    from semigan_pl.atomic import write_bytes
    from semigan_pl.report.style import LIGHT, render

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / "baselines.csv", text.getvalue().encode())
    write_bytes(folder / "baselines.png", render(lambda figure, theme: draw(rows, figure, theme), LIGHT, width=9.5))


def draw(rows: list[dict[str, Any]], figure: Any, theme: Any) -> None:
    """Seconds of the fit and the memory that it adds, both against N, with logarithmic axes."""
    from matplotlib.ticker import FuncFormatter

    panels = figure.subplots(1, 2)
    colours = (theme.normal, theme.anomalous, *theme.others, theme.ink)
    marks = sorted({row["points"] for row in rows})
    for name, colour in zip(METHODS, colours, strict=True):
        own = [row for row in rows if row["method"] == name]
        seconds = [row["fit_seconds"] for row in own]
        added = [row["peak_mib"] - row["before_mib"] for row in own]
        for axes, values in zip(panels, (seconds, added), strict=True):
            if own:
                axes.plot([row["points"] for row in own], values, ".-", color=colour, ms=6, label=name)
    panels[0].set(title=f"Seconds to fit points of {WIDTH} dimensions")
    panels[1].set(title="Peak memory beyond that of the loaded points, MiB")
    for axes in panels:
        axes.set(xscale="log", yscale="log", xlabel="points")
        axes.grid(color=theme.rule, linewidth=0.5)
        axes.set_xticks(marks, [f"{mark:,}" for mark in marks])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside right upper")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, nargs="+", default=[500, 1000, 2000, 5000, 10000, 20000])
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=METHODS)
    parser.add_argument("--seconds", type=float, default=900, help="for each method and number of points")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--here", action="store_true", help="one method and number, in this process")
    asked = parser.parse_args()
    if min(asked.points) < 10 or asked.threads < 1:
        parser.error("--points must be 10 or more, and --threads 1 or more")
    return asked


def main() -> None:
    asked = options()
    if asked.here:
        print(json.dumps(measure(asked.methods[0], asked.points[0])))
        return
    rows = sweep(asked)
    write(rows, asked.folder)
    print(json.dumps({"threads": asked.threads, "seconds": asked.seconds, "dimensions": WIDTH, "rows": rows}))


if __name__ == "__main__":
    main()
