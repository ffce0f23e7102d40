"""A stand-in for `run.py` as a table starts it: leaves the files of a run in no time."""

import csv
import json
import os
import sys
import time
from pathlib import Path

CLASSES = ("0", "1", "8")
SCORES = {"0": (0.2, 0.6, 0.9), "1": (0.1, 0.3, 0.5), "8": (0.0, 0.4, 0.45)}


def main() -> None:
    typed = dict(argument.split("=", 1) for argument in sys.argv[1:])
    folder = Path(typed["run"])
    hydra = folder / ".hydra"
    hydra.mkdir(parents=True, exist_ok=True)
    print(f"threads {os.environ['OMP_NUM_THREADS']}")
    if "checkpoint" in typed:
        (folder / "continued").write_text(" ".join(sys.argv[1:]))
    else:
        quoted = [f'run="{value}"' if key == "run" else f"{key}={value}" for key, value in typed.items()]
        (hydra / "overrides.yaml").write_text("".join(f"- {json.dumps(override)}\n" for override in quoted))
    mood = Path("mood").read_text() if Path("mood").is_file() else ""
    if mood and folder.match(f"*/{mood.split()[0]}/*/*"):
        if "slow" in mood:
            (folder / "checkpoints").mkdir(exist_ok=True)
            (folder / "checkpoints" / "last.ckpt").touch()
            time.sleep(60)
        print("a warning\nerror: this does not work: change | it" if "error" in mood else "broken")
        sys.exit(1)
    finish(folder, seed=int(typed.get("seed", 0)), score=folder.parts[-3])


def finish(folder: Path, seed: int, score: str) -> None:
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "class", "label", "score"])
        for name in CLASSES:
            for place, value in enumerate(SCORES[name]):
                writer.writerow([place, name, int(name != "8"), value])
    (folder / ".hydra" / "config.yaml").write_text("network: {size: small}\nnetwork_sizes: {small: {width: 8}}\n")
    counts = {"train": {"8": 90, "1": 10}, "train_known": {"1": 9}, "val": {"8": 10}, "val_known": {"1": 1}}
    counts["test"] = dict.fromkeys(CLASSES, 3)
    data = {"name": "digits", "image_size": 16, "channels": 1, "counts": counts, "hidden_anomalies": 10}
    (folder / "data.json").write_text(json.dumps(data | {"normal_classes": ["8"], "known_classes": ["1"]}))
    metrics = {"test/auroc": 0.7 + 0.1 * seed, "test/f1_max_inlier": 0.8, "score": score, "seed": seed}
    metrics |= {"train/images_seen": 640, "git": "0123abc"}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"versions": {"torch": "2.5.1"}}))


if __name__ == "__main__":
    main()
