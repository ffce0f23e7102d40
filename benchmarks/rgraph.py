"""R-graph's elastic nets: ours beside one call of scikit-learn's ElasticNet for each point, on the same points.

    python benchmarks/rgraph.py --points 2000 --dimension 128
    python benchmarks/rgraph.py --points 20000 --ours-only

Points, half of them outliers: `features`, what a ReLU returns for five categories and for images of none; `subspaces`,
ten of dimension 8 and points of the whole space, noise 0.3 on all of them. alpha = 10 and lambda = 0.95, the paper's.

scikit-learn solves `--sample 200` points that are drawn from all of them, and its time is that of these times N/200;
`--sample 0` has it solve all. Its tolerance is the loosest of 1e-3, 1e-4, ... with which each of these points comes
within 1e-6 of our objective, relative to that; `objective_excess_of_ours` is by how much ours is ever the larger one.
Everything runs in one process with one thread, in turns, `--repeats 3` times: a ratio is of times next to each other.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads its linear algebra
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import ElasticNet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semigan_pl.baselines.base import unit_length
from semigan_pl.baselines.elastic_net import self_representation
from semigan_pl.baselines.rgraph import time_spent
from tests.baselines.synthetic import feature_like

Array = NDArray[np.float64]
SHARE, STEPS, CLOSE = 0.95, 1000, 1e-6  # lambda, T, and how near to the least objective is near enough


def features(points: int, dimension: int) -> Array:
    return unit_length(feature_like(5, points - points // 2, points // 2, dimension, seed=0)[0])


def subspaces(points: int, dimension: int) -> Array:
    generator = np.random.default_rng(0)
    parts = [generator.standard_normal((points // 2, dimension))]
    for number in range(10):
        basis = np.linalg.qr(generator.standard_normal((dimension, min(8, dimension))))[0]
        n = len(range(number, points - points // 2, 10))
        parts.append(generator.standard_normal((n, basis.shape[1])) @ basis.T)
    drawn = unit_length(np.concatenate(parts))
    return unit_length(drawn + 0.3 * generator.standard_normal(drawn.shape) / np.sqrt(dimension))


CASES = {"features": features, "subspaces": subspaces}


def weight(points: Array, j: int, alpha: float) -> float:
    """mu = lambda / gamma_j = max |x_i^T x_j| / alpha over the other points."""
    products = np.abs(points @ points[j])
    products[j] = 0
    return float(products.max()) / alpha


def scikit_learn(points: Array, j: int, alpha: float, tolerance: float) -> Array:
    """r of one point, (N,), by scikit-learn."""
    others = np.delete(np.arange(len(points)), j)
    penalty = weight(points, j, alpha) / SHARE / points.shape[1]
    net = ElasticNet(alpha=penalty, l1_ratio=SHARE, fit_intercept=False, tol=tolerance, max_iter=10**6)
    r = np.zeros(len(points))
    r[others] = net.fit(np.asfortranarray(points[others].T), points[j]).coef_
    return r


def objective(points: Array, j: int, r: Array, alpha: float) -> float:
    """lambda ||r||_1 + (1 - lambda)/2 ||r||^2 + gamma/2 ||x_j - X r||^2, divided by gamma."""
    mu = weight(points, j, alpha)
    penalty = np.abs(r).sum() + (1 - SHARE) / SHARE / 2 * r @ r
    return float(mu * penalty + np.sum((points[j] - r @ points) ** 2) / 2)


def differences(points: Array, found: csr_matrix, theirs: dict[int, Array], alpha: float) -> list[float]:
    """By how much scikit-learn's objectives exceed ours, relative to ours."""
    ours = {j: objective(points, j, found[j].toarray()[0], alpha) for j in theirs}
    return [objective(points, j, r, alpha) / ours[j] - 1 for j, r in theirs.items()]


def tolerance_for(points: Array, found: csr_matrix, some: list[int], alpha: float) -> float:
    """The loosest of scikit-learn's tolerances that comes near enough."""
    for power in range(3, 12):
        tolerance = 10.0**-power
        theirs = {j: scikit_learn(points, j, alpha, tolerance) for j in some}
        if max(map(abs, differences(points, found, theirs, alpha))) <= CLOSE:
            return tolerance
    raise ArithmeticError("no tolerance of scikit-learn comes near enough to our objective")


def compared(points: Array, chosen: list[int], alpha: float, repeats: int) -> dict[str, Any]:
    """Seconds of both for all points, in turns."""
    found = self_representation(points, alpha, SHARE)
    tolerance = tolerance_for(points, found, chosen, alpha)
    ours, theirs, apart = [], [], []
    for number in range(1, repeats + 1):
        start = time.perf_counter()
        found = self_representation(points, alpha, SHARE)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        solved = {j: scikit_learn(points, j, alpha, tolerance) for j in chosen}
        theirs.append((time.perf_counter() - start) * len(points) / len(chosen))
        apart += differences(points, found, solved, alpha)
        print(f"  {number}: ours {ours[-1]:.2f} s, scikit-learn {theirs[-1]:.1f} s (tol {tolerance:g})", flush=True)
    ratios = [slow / quick for slow, quick in zip(theirs, ours, strict=True)]
    return {
        "seconds": round(statistics.median(ours), 3),
        "seconds_scikit_learn": round(statistics.median(theirs), 2),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "tolerance": tolerance,
        "objective_difference": float(f"{max(map(abs, apart)):.2g}"),
        "objective_excess_of_ours": float(f"{max(0.0, -min(apart)):.2g}"),
    }


def alone(points: Array, alpha: float) -> dict[str, Any]:
    """Seconds of our elastic nets and of the walk, and the memory that the process has ever held."""
    start = time.perf_counter()
    found = self_representation(points, alpha, SHARE)
    middle = time.perf_counter()
    time_spent(found, STEPS)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"  elastic nets {middle - start:.1f} s, walk {end - middle:.1f} s, peak {peak:.0f} MiB", flush=True)
    return {
        "seconds": round(middle - start, 3),
        "walk_seconds": round(end - middle, 3),
        "peak_mib": round(peak),
        "points_per_representation": round(found.nnz / len(points), 1),
    }


def options(typed: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--alpha", type=float, default=10.0)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--sample", type=int, default=200, help="points that scikit-learn solves; 0: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ours-only", action="store_true", help="time and memory, without scikit-learn")
    return parser.parse_args(typed)


def main() -> None:
    asked = options(sys.argv[1:])
    count = min(asked.sample or asked.points, asked.points)
    result: dict[str, Any] = {"points": asked.points, "dimension": asked.dimension, "alpha": asked.alpha}
    if not asked.ours_only:
        result["sample"] = count
    for name in asked.cases:
        print(f"{name}: {asked.points} points of dimension {asked.dimension}, alpha {asked.alpha:g}", flush=True)
        points = CASES[name](asked.points, asked.dimension)
        chosen = np.random.default_rng(1).choice(len(points), count, replace=False).tolist()
        result[name] = (
            alone(points, asked.alpha) if asked.ours_only else compared(points, chosen, asked.alpha, asked.repeats)
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
