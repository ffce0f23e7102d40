"""A synthetic run's folder: what run.py leaves, small and seeded."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imsave
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

HOSTILE = '<img src=x onerror="alert(1)">&$\\frac{'
CLASSES = ["eight", "one", HOSTILE, "seven"]  # the first is normal, "one" is known in training


def _auroc(labels: np.ndarray, values: np.ndarray) -> float | None:
    return float(roc_auc_score(labels, values)) if 0 < labels.sum() < len(labels) else None


def _write_scores(folder: Path, n_per_class: int, scale: float, rng: np.random.Generator) -> dict[str, Any]:
    """scores.csv, and the metrics that belong to it."""
    classes = np.repeat(np.arange(len(CLASSES)), [3 * n_per_class, *[n_per_class] * (len(CLASSES) - 1)])  # (n,)
    labels = (classes > 0).astype(int)
    residual = scale * rng.gamma(4 + 4 * labels, 1.0)
    critic = rng.normal(1.5 * labels * (classes != 2), 1.0)
    terms = {"residual": residual, "critic": critic, "fused": residual + scale * np.maximum(critic - 1, 0)}
    score = terms["fused"]
    threshold = float(np.quantile(score[labels == 0], 0.9))
    decision = (score > threshold).astype(int)
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "path", "class", "label", "score", "decision", *terms])
        for row in range(len(labels)):
            values = [repr(float(column[row])) for column in terms.values()]
            path = f"images/{row}.png"
            writer.writerow([1000 + row, path, CLASSES[classes[row]], labels[row], score[row], decision[row], *values])
    precision, recall, _ = precision_recall_curve(labels, score)
    found = int((labels * decision).sum())
    metrics: dict[str, Any] = {f"test/auroc_{name}": _auroc(labels, values) for name, values in terms.items()}
    metrics |= {"val/auroc_residual": 0.91234, "val/auroc_critic": 0.98765, "val/auroc_fused": 0.95432}
    metrics |= {"test/auroc": _auroc(labels, score), "test/threshold": threshold}
    metrics |= {f"val/threshold_{name}": float(np.median(values)) for name, values in terms.items()}
    metrics["val/threshold_fused"] = threshold
    metrics["test/average_precision"] = float(average_precision_score(labels, score))
    metrics["test/f1_max"] = float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))
    metrics["test/precision"] = found / max(int(decision.sum()), 1)
    metrics["test/recall"] = found / int(labels.sum())
    metrics["test/f1"] = 2 * found / int(labels.sum() + decision.sum())
    metrics["test/accuracy"] = float((labels == decision).mean())
    metrics["test/prevalence"] = float(labels.mean())
    for number, name in enumerate(CLASSES[1:], start=1):
        kept = (classes == 0) | (classes == number)
        metrics[f"test/auroc_class/{name}"] = _auroc(labels[kept], score[kept])
    metrics["test/auroc_known"] = metrics["test/auroc_class/one"]
    unseen = classes != 1
    metrics["test/auroc_unseen"] = _auroc(labels[unseen], score[unseen])
    return metrics


def _write_examples(folder: Path, images_only: bool, masks: bool, rng: np.random.Generator) -> None:
    kinds = ["normal"] * 3 + ["anomalous"] * 3 + ["missed"] * 2 + ["false alarm"]
    rows, columns = np.mgrid[-1:1:16j, -1:1:16j]
    rings = np.stack([np.exp(-(((np.hypot(rows, columns) - r) / 0.2) ** 2)) for r in rng.uniform(0.3, 0.8, len(kinds))])
    images = np.rint(255 * rings[:, None]).astype(np.uint8)  # (k, 1, 16, 16)
    arrays = {"index": np.arange(1000, 1000 + len(kinds)), "kind": np.array(kinds), "images": images}
    if not images_only:
        noise = rng.normal(0, 0.2, images.shape)
        reconstructions = np.clip(images / 127.5 - 1 + noise, -1, 1).astype(np.float32)
        arrays |= {"reconstructions": reconstructions, "maps": np.abs(noise).astype(np.float32)}
    if masks:
        defects = (images[:, 0] > 200) & np.isin(kinds, ["anomalous", "missed"])[:, None, None] & (rows < 0)
        arrays |= {"masks": defects, "has_mask": np.arange(len(kinds)) != 4}
    np.savez(folder / "examples.npz", **arrays)


def _write_training(folder: Path, rng: np.random.Generator) -> None:
    names = ["images_seen", "train/d_adversarial", "train/d_known_anomalies", "train/g_adversarial", "val/auroc"]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for step in range(120):
            losses = [f"{1.3 + value:.4f}" for value in rng.normal(0, 0.1, 3)]
            writer.writerow([64 * step, *losses, f"{step / 120:.3f}" if step % 40 == 39 else ""])
    (folder / "figures").mkdir()
    for seen in (0, 3200, 6400):
        imsave(folder / "figures" / f"samples_{seen:09d}.png", rng.integers(0, 255, (34, 34, 3), dtype=np.uint8))


def _write_settings(folder: Path) -> dict[str, Any]:
    counts = {
        split: {name: 10 + 3 * number for number, name in enumerate(CLASSES)} for split in ("train", "val", "test")
    }
    counts["train_known"] = {"one": 45}
    data = {"name": "digits", "normal_classes": ["eight"], "known_classes": ["one"], "image_size": 16, "channels": 1}
    data |= {"notes": ["Clutter: folder <b>BACKGROUND</b>."], "contamination": 0.1, "hidden_anomalies": 17}
    (folder / "data.json").write_text(json.dumps(data | {"counts": counts, "known_anomalies": 50}), encoding="utf-8")
    (folder / ".hydra").mkdir()
    overrides = "- data=digits\n- model.gamma=0.5\n- data.normal_classes=[8]\n- 'name=two words'\n"
    (folder / ".hydra" / "overrides.yaml").write_text(overrides)
    network = "network: {size: small}\nnetwork_sizes: {small: {width: 8}}\n"
    (folder / ".hydra" / "config.yaml").write_text(f"seed: 0\nmodel:\n  gamma: 0.5 # <b>\n{network}")
    versions = {"torch": "2.5.1", "numpy": "2.0.0"}
    return {"score": "fused", "data": "digits", "model": "semigan", "seed": 3, "git": "0123abc", "versions": versions}


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """make_run(n_per_class=20, scale=1.0, images_only=False, masks=False, **changes to metrics.json) -> the folder."""

    def make(
        n_per_class: int = 20, scale: float = 1.0, images_only: bool = False, masks: bool = False, **changes: Any
    ) -> Path:
        rng = np.random.default_rng(0)
        folder = tmp_path / "outputs" / "digits" / "run"
        folder.mkdir(parents=True)
        metrics = _write_scores(folder, n_per_class, scale, rng)
        _write_examples(folder, images_only, masks, rng)
        if masks:
            metrics |= {"test/pixel_auroc": 0.87654, "test/pixel_average_precision": 0.34567}
            metrics |= {"test/pixel_prevalence": 0.01234, "test/pixel_images": 1100}
        _write_training(folder, rng)
        metrics |= _write_settings(folder)
        metrics |= {"train/images_seen": 7680, "train/seconds": 61.5, "train/images_per_second": 124.9} | changes
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        return folder

    return make
