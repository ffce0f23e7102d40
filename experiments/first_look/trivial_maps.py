"""What a map knows that only marks what is not background: python experiments/first_look/trivial_maps.py data=mvtec ...

The map of an image is its distance from its own median grey value; it has learned nothing. With the options of a run.
"""

import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from semigan_pl.evaluation.pixels import PixelCounts

with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
    config = compose("config", overrides=["run=unused", *sys.argv[1:]])
data = instantiate(config.data.module, _convert_="all")
data.setup()
pixels = PixelCounts()
for batch in data.test_dataloader():
    for image, index in zip(batch.images.mean(dim=1).numpy(), batch.indices.tolist(), strict=True):
        if (truth := data.pixel_truth(index)) is not None:
            pixels.add(np.abs(image - np.median(image)), truth)
print(f"pixel AUROC {pixels.auroc():.3f}, average precision {pixels.average_precision():.3f}")
