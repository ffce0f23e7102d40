"""Data sets that torchvision can read: MNIST and its relatives, CIFAR-10, and others with the same interface."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torchvision.datasets

from semigan_pl.data.image_source import ArrayImages, existing_folder

IDX_FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def torchvision_set(dataset: str, root: str | None, download: bool, name: str) -> ArrayImages:
    """Reads both parts of a data set of torchvision.

    Args:
        dataset: name of a class of `torchvision.datasets` with the arguments (root, train, download) and the
            attributes `data` and `targets`: MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100, USPS.
        root: torchvision's own layout, or (MNIST and its relatives) the folder of the four idx files, gzipped or not.
        download: fetch the data set into `root` if it is not there.

    Raises:
        FileNotFoundError: the data set is not there.
        ValueError: torchvision has no such data set.
    """
    dataset_class = getattr(torchvision.datasets, dataset, None)
    if dataset_class is None:
        raise ValueError(f"data.source.dataset={dataset} is not a data set of torchvision: check its spelling")
    if download and root is not None:
        Path(root).expanduser().mkdir(parents=True, exist_ok=True)
    folder = existing_folder("data.root", root, f"give the folder that holds {dataset}, or add data.download=true")
    train, test = _both_parts(dataset_class, folder, download)
    images = np.concatenate([np.asarray(train.data), np.asarray(test.data)])  # (n, H, W) or (n, H, W, 3)
    classes = np.concatenate([np.asarray(train.targets), np.asarray(test.targets)])
    # MNIST's own names are "8 - eight"; a user types 8.
    names = [str(label).split(" - ")[0] for label in getattr(train, "classes", range(int(classes.max()) + 1))]
    parts = ["train"] * len(train.data) + ["test"] * len(test.data)
    return ArrayImages(name, images, names, classes, parts)


def _both_parts(dataset_class: type[Any], folder: Path, download: bool) -> tuple[Any, Any]:
    idx_folder = _idx_folder(dataset_class, folder)
    try:
        if idx_folder is None:
            return dataset_class(folder, train=True, download=download), dataset_class(folder, train=False)
        with tempfile.TemporaryDirectory() as temporary:
            _lay_out(idx_folder, Path(temporary, dataset_class.__name__, "raw"))
            return dataset_class(temporary, train=True), dataset_class(temporary, train=False)
    except RuntimeError as error:
        raise FileNotFoundError(
            f"data.root={folder} does not hold {dataset_class.__name__} ({error}): point it at the data set, or add"
            " data.download=true"
        ) from error


def _idx_folder(dataset_class: type[Any], folder: Path) -> Path | None:
    """The folder of the idx files where there is one, bare or in torchvision's own layout."""
    if not issubclass(dataset_class, torchvision.datasets.MNIST):
        return None
    for candidate in (folder, folder / "raw", folder / dataset_class.__name__ / "raw"):
        if any(_idx_file(candidate, name) for name in IDX_FILES):
            return candidate
    return None


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _lay_out(idx_folder: Path, raw: Path) -> None:
    """Writes the idx files, unpacked, where torchvision's reader looks for them."""
    raw.mkdir(parents=True)
    for name in IDX_FILES:
        path = _idx_file(idx_folder, name)
        if path is None:
            raise FileNotFoundError(f"data.root: {idx_folder} lacks {name} (or {name}.gz): add this file")
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as packed, (raw / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
