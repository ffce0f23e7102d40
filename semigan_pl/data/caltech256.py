"""Caltech-256: object categories, with images of clutter as outliers (Griffin, Holub, Perona 2007)."""

from __future__ import annotations

import re
from pathlib import Path

from semigan_pl.data.image_source import ImageFiles, existing_folder, image_files

CATEGORY = re.compile(r"(\d{3})\.(.+)")
CLUTTER_LABEL = 256  # 257.clutter; labels are numbers of folders less one, as torchvision has them
# The same picture as 224_0004, byte by byte: a split could put it on both of its sides.
DUPLICATES = {"224_0095.jpg"}


def caltech256(root: str | None, clutter: str | None) -> ImageFiles:
    """Reads the categories that hold images; empty ones are passed over but keep their labels.

    Args:
        root: the folder of the `NNN.name` folders, or its parent.
        clutter: folder of the outliers, by itself or below `root`; None means the category 257.clutter.

    Raises:
        FileNotFoundError: there are no categories, or no images of clutter.
    """
    hint = "give the folder of the NNN.name folders, or its parent"
    folder = _category_folder(existing_folder("data.root", root, hint))
    if folder is None:
        raise FileNotFoundError(f"data.root={root} holds no folder such as 003.backpack with images: {hint}")
    clutter_folder, clutter_images = _clutter(folder, clutter)
    files = {label: image_files(path, nested=False) for label, (_, path) in _categories(folder).items()}
    files[CLUTTER_LABEL] = clutter_images
    classes, paths = [], []
    for label, of_label in sorted(files.items()):
        kept = [str(path) for path in of_label if path.name not in DUPLICATES]
        classes += [label] * len(kept)
        paths += kept
    notes = [f"Outliers come from the clutter folder {clutter_folder.name}, {len(clutter_images)} images."]
    if any(path.name in DUPLICATES for of_label in files.values() for path in of_label):
        notes.append("Left out as copies of other images: " + ", ".join(sorted(DUPLICATES)) + ".")
    names = _class_names(folder)
    return ImageFiles("caltech256", names, classes, [""] * len(paths), paths, [CLUTTER_LABEL], notes)


def _categories(folder: Path) -> dict[int, tuple[str, Path]]:
    """Label -> (name, folder) of every category, empty ones included."""
    matches = ((CATEGORY.fullmatch(path.name), path) for path in sorted(folder.iterdir()) if path.is_dir())
    return {int(match[1]) - 1: (match[2], path) for match, path in matches if match and 1 <= int(match[1]) <= 257}


def _category_folder(root: Path) -> Path | None:
    """`root` or the first folder in it that has categories with images."""
    for folder in (root, *(path for path in sorted(root.iterdir()) if path.is_dir())):
        if any(image_files(path, nested=False) for _, path in _categories(folder).values()):
            return folder
    return None


def _clutter(folder: Path, clutter: str | None) -> tuple[Path, list[Path]]:
    """The clutter folder and its images."""
    path = Path(clutter or f"{CLUTTER_LABEL + 1}.clutter").expanduser()
    if not path.is_dir():
        path = next((base / path for base in (folder, folder.parent) if (base / path).is_dir()), path)
    images = image_files(path, nested=False) if path.is_dir() else []
    if not images:
        raise FileNotFoundError(
            f"the clutter folder {path} {'is empty' if path.is_dir() else 'does not exist'}: outliers come from it, so"
            " set data.clutter to a folder of clutter images"
        )
    return path, images


def _class_names(folder: Path) -> list[str]:
    """Names by label, without the numbers; a category that has no folder is called by its number."""
    names = [f"{label + 1:03d}" for label in range(CLUTTER_LABEL)] + ["clutter"]
    for label, (name, _) in _categories(folder).items():
        names[label] = name
    return names
