"""A small sweep of made-up runs: gamma, contamination, seeds."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.metrics import roc_auc_score

from tests.report.conftest import HOSTILE

GAMMAS, CONTAMINATIONS, SEEDS = (1.0, 0.7, 0.5), (0, 0.2), (0, 1, 2)
CLASSES = ("eight", "one", HOSTILE)


def make_run(folder: Path, gamma: float = 0.5, contamination: float = 0, seed: int = 0, **options: Any) -> Path:
    """What run.py leaves, as far as a comparison reads it. `options`: top-level ones of the config."""
    rng = np.random.default_rng([seed, round(100 * gamma), round(100 * contamination)])
    labels = np.repeat([0, 1, 1], 20)
    scores = rng.normal(labels * (1.6 - 2 * contamination * gamma), 1.0)
    (folder / ".hydra").mkdir(parents=True)
    config = {
        "data": {"name": "digits", "contamination": contamination, "seed": "${seed}", "root": f"/{seed}/digits"},
        "model": {"_target_": "semigan_pl.methods.anogan.AnoGAN", "name": "semigan", "gamma": gamma},
        **{"seed": seed, "run": str(folder), "task": "fit", "search": {"seed": seed}},
    }
    typed = ["data=digits", f"model.gamma={gamma}", f"data.contamination={contamination}", f"seed={seed}", "name='a b'"]
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config | options, sort_keys=False))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(typed))
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "path", "class", "label", "score", "decision", "fused"])
        for row, (label, score) in enumerate(zip(labels, scores, strict=True)):
            name = CLASSES[row // 20]
            writer.writerow([row, f"a,b/{row}.png", name, label, float(score), int(score > 1), float(score)])
    images = np.random.default_rng(0).integers(0, 255, (6, 1, 8, 8), dtype=np.uint8)  # the same in all runs
    shown: dict[str, Any] = {"images": images, "reconstructions": (images / 127.5 - 1).astype(np.float32)}
    shown |= {"index": np.array([0, 1, 20, 21, 40, 41]), "kind": np.repeat(["normal", "anomalous"], [2, 4])}
    np.savez(folder / "examples.npz", maps=rng.random((6, 1, 8, 8), dtype=np.float32), **shown)
    metrics: dict[str, Any] = {"test/auroc": float(roc_auc_score(labels, scores)), "test/f1": 0.5 + 0.1 * seed}
    metrics |= {"val/auroc": 0.75, "test/auroc_fused": 0.8, "test/auroc_unseen": None, "test/threshold": 1.0}
    metrics[f"test/auroc_class/{HOSTILE}"] = 0.7
    (folder / "metrics.json").write_text(json.dumps(metrics | {"score": "fused", "seed": seed}))
    (folder / "report.html").write_text("")
    return folder


def make_sweep(
    folder: Path,
    gammas: Iterable[float] = GAMMAS,
    contaminations: Iterable[float] = CONTAMINATIONS,
    seeds: Iterable[int] = SEEDS,
) -> Path:
    """All combinations, one unfinished run and one with a broken file."""
    for gamma in gammas:
        for contamination in contaminations:
            for seed in seeds:
                make_run(folder / f"model.gamma={gamma},c={contamination},seed={seed}", gamma, contamination, seed)
    failed = make_run(folder / "failed", 0.3, 0, 0)
    (failed / "metrics.json").unlink()
    (failed / "output.log").write_text("Step 1\nerror: no space left <b>\nbye\n")
    (make_run(folder / "torn", 0.3, 0, 1) / "metrics.json").write_text('{"test/au')
    return folder
