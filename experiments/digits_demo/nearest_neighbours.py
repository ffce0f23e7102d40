"""A 3-nearest-neighbour detector on the demo's own pixels and splits: the bar that a trained detector has to clear.

    python experiments/digits_demo/nearest_neighbours.py seed=0 [other options of run.py]

The score of a test image is its mean distance to the three nearest images of the unlabelled training pool.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from semigan_pl.evaluation.metrics import auroc

CONF = Path(__file__).resolve().parents[2] / "conf"
NEIGHBOURS = 3


def main() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=sys.argv[1:])
    data = instantiate(config.data.module, _convert_="all")
    pool = torch.cat([batch.images for batch in data.pool_dataloader()]).flatten(1)
    batches = list(data.test_dataloader())
    distances = torch.cat([torch.cdist(batch.images.flatten(1), pool) for batch in batches])
    scores = distances.topk(NEIGHBOURS, largest=False).values.mean(1).numpy()
    labels = torch.cat([batch.labels for batch in batches]).numpy()
    print(f"{' '.join(sys.argv[1:])}: {len(pool)} in the pool, {len(labels)} tested, AUROC {auroc(labels, scores):.4f}")


if __name__ == "__main__":
    main()
