"""The paper's figures 4 and 5 from finished runs with normal class 0, one for each seed.

    python experiments/figures/pixel_figures.py FOLDER_OF_RUNS...

Figure 4, of the first run: input, reconstruction and difference of normal (0) and anomalous (1) images. Figure 5:
histogram of the pixel differences abs(x - G(z)) of labels 0 and 6 under the same model, 100 images each, averaged over
the images; a thin line for each run, a thick one for their mean.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from torch import Tensor

from semigan_pl.checkpoints import read_checkpoint
from semigan_pl.types import Prediction

HERE = Path(__file__).parent
BINS = np.linspace(0, 2, 41)  # abs(x - G(z)) of images in [-1, 1]


def images_of(data: object, name: str, n: int) -> Tensor:
    """The first `n` test images of a class, (n, C, H, W)."""
    batches = data.test_dataloader()  # type: ignore[attr-defined]
    rows = [
        image
        for batch in batches
        for image, index in zip(batch.images, batch.indices.tolist(), strict=True)
        if data.class_name_of(index) == name  # type: ignore[attr-defined]
    ]
    return torch.stack(rows[:n])


def figure_4(normal: tuple[Tensor, Prediction], anomalous: tuple[Tensor, Prediction]) -> None:
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(3, 12)
    for half, (images, prediction) in enumerate((normal, anomalous)):
        assert prediction.reconstruction is not None
        assert prediction.anomaly_map is not None
        for column in range(6):
            shown = (images[column], prediction.reconstruction[column], prediction.anomaly_map[column] - 1)
            for row, picture in enumerate(shown):
                axis = axes[row, half * 6 + column]
                axis.imshow(picture[0], cmap="inferno" if row == 2 else "gray", vmin=-1, vmax=1)
                axis.set(xticks=[], yticks=[])
    for row, name in enumerate(("input", "reconstruction", "difference")):
        axes[row, 0].set_ylabel(name)
    axes[0, 0].set_title("normal: 0", loc="left")
    axes[0, 6].set_title("anomalous: 1", loc="left")
    figure.savefig(HERE / "figure4.png", dpi=130)


def figure_5(found: dict[str, list[Tensor]]) -> None:
    """Differences of each label, (100, 1, H, W) from each run."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    rows = []
    for (label, runs), (colour, style) in zip(found.items(), (("#0072B2", "-"), ("#D55E00", "--")), strict=True):
        counts = np.array([np.mean([np.histogram(one.numpy(), BINS)[0] for one in run], axis=0) for run in runs])
        for one in counts:
            axis.stairs(one, BINS, color=colour, linestyle=style, linewidth=0.6, alpha=0.6)
        mean = counts.mean(axis=0)
        axis.stairs(mean, BINS, color=colour, linestyle=style, linewidth=1.8, label=f"label {label}")
        rows += [
            [label, f"{low:.2f}", *(f"{c:.3f}" for c in column)] for low, column in zip(BINS, counts.T, strict=False)
        ]
        means = [float(run.mean()) for run in runs]
        deviation = f" ± {np.std(means, ddof=1):.4f}" if len(means) > 1 else ""
        print(f"label {label}: mean pixel difference {np.mean(means):.4f}{deviation} ({len(means)} runs)")
    axis.set(yscale="log", xlabel="pixel difference abs(x - G(z))", ylabel="pixels per image (mean of 100)")
    axis.legend(frameon=False)
    figure.savefig(HERE / "figure5.png", dpi=130)
    head = ["label", "difference_from", *(f"run_{number}" for number in range(len(rows[0]) - 2))]
    with (HERE / "figure5.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def inspected(folder: Path) -> dict[str, tuple[Tensor, Prediction]]:
    """Test images of a run and what it makes of them, by label."""
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    data = instantiate(config.data.module, _convert_="all")
    data.setup()
    model = instantiate(config.model, _convert_="all")
    model.load_state_dict(read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"])
    images = {name: images_of(data, name, n) for name, n in (("0", 100), ("6", 100), ("1", 6))}
    return {name: (several, model.predict(several)) for name, several in images.items()}


def main() -> None:
    torch.set_num_threads(1)
    folders = sorted({path.parent for place in sys.argv[1:] for path in Path(place).rglob("metrics.json")})
    runs = [inspected(folder) for folder in folders]
    figure_4(runs[0]["0"], runs[0]["1"])
    figure_5({name: [run[name][1].anomaly_map for run in runs] for name in ("0", "6")})  # type: ignore[misc]


if __name__ == "__main__":
    main()
