"""How much of a tile's AUROC is recognising the tile: python experiments/first_look/tile_neighbours.py MAGNETIC_TILE

The score is the distance to the nearest normal training image at 32 px, every image scaled to mean 0 and deviation 1
(shots of a tile differ in exposure), once with the shots of a tile divided between training and test
(data.group_tiles=false), once with tiles kept whole.
"""

import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

FIXED = ["run=unused", "data=magnetic_tile", "data.image_size=32", f"data.root={sys.argv[1]}"]


def standardised(images: Tensor) -> NDArray[np.float32]:
    """(N, C, H, W) -> (N, C * H * W), each image with mean 0 and deviation 1."""
    pixels = images.flatten(1).numpy()
    scaled: NDArray[np.float32] = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    return scaled


for group_tiles in ("false", "true"):
    areas = []
    for seed in range(3):
        with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
            config = compose("config", overrides=[*FIXED, f"data.group_tiles={group_tiles}", f"seed={seed}"])
        data = instantiate(config.data.module, _convert_="all")
        pool = np.concatenate([standardised(batch.images) for batch in data.pool_dataloader()])
        tested = list(data.test_dataloader())
        nearest = NearestNeighbors(n_neighbors=1).fit(pool)
        scores = [nearest.kneighbors(standardised(batch.images))[0][:, 0] for batch in tested]
        labels = [batch.labels.numpy() for batch in tested]
        areas.append(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))
    print(f"group_tiles={group_tiles}: AUROC " + ", ".join(f"{area:.3f}" for area in areas))
