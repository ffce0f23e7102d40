"""Where images come from, before anybody decides what is normal."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class ImageSource(ABC):
    """A labelled, ordered collection of images.

    Attributes:
        name: short name of the data set.
        class_names: name of every label; a label may be without images.
        classes: label of every image, (n,) int64.
        parts: "train", "val", "test", or "" where the data set does not say, (n,).
        paths: a file, or e.g. "train/123" where images have no file of their own.
        outlier_classes: labels that can never be normal; where there are any, all tested and hidden anomalies are
            theirs.
        notes: facts that a report must state.
        groups: name of every image's group, (n,); a group is never divided between training and test. "" stands alone.
        has_masks: whether anomalous images come with their defective pixels.
    """

    has_masks = False

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        classes: Iterable[int],
        parts: Iterable[str],
        paths: Sequence[str],
        outlier_classes: Sequence[int] = (),
        notes: Sequence[str] = (),
        groups: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.class_names = list(class_names)
        self.classes: NDArray[np.int64] = np.asarray(list(classes), dtype=np.int64)
        self.parts: NDArray[np.str_] = np.asarray(list(parts), dtype="<U5")
        self.paths = list(paths)
        self.outlier_classes = list(outlier_classes)
        self.notes = list(notes)
        self.groups = [""] * len(self.paths) if groups is None else list(groups)

    def __len__(self) -> int:
        return len(self.classes)

    @abstractmethod
    def read(self, position: int) -> Image.Image:
        """Decodes one image as it is stored; raises OSError where that fails."""

    def mask(self, position: int) -> Image.Image | None:
        """The defective pixels of an anomalous image, bright on black and of the image's own size; None: not known."""
        return None

    @abstractmethod
    def fingerprint(self, positions: Iterable[int]) -> str:
        """Hash of the content of these images, in this order: 64 hexadecimal digits."""


class ArrayImages(ImageSource):
    """Images that are one uint8 array, (n, H, W) grey or (n, H, W, 3) colour."""

    def __init__(
        self, name: str, images: NDArray[np.uint8], class_names: Sequence[str], classes: Iterable[int], parts: list[str]
    ) -> None:
        paths = [f"{part or name}/{position}" for position, part in enumerate(parts)]
        super().__init__(name, class_names, classes, parts, paths)
        self.images = images

    def read(self, position: int) -> Image.Image:
        return Image.fromarray(self.images[position])

    def fingerprint(self, positions: Iterable[int]) -> str:
        digest = hashlib.sha256(str(self.images.shape[1:]).encode())
        for position in positions:
            digest.update(self.images[position].tobytes())
        return digest.hexdigest()


class ImageFiles(ImageSource):
    """One file per image; `paths` are the files.

    Args:
        masks: file of the defective pixels by position, for those images that have one.
        *facts, **more_facts: see ImageSource.
    """

    def __init__(self, *facts: Any, masks: Mapping[int, str] | None = None, **more_facts: Any) -> None:
        super().__init__(*facts, **more_facts)
        self.masks = dict(masks or {})
        self.has_masks = bool(self.masks)

    def read(self, position: int) -> Image.Image:
        return _decoded(self.paths[position])

    def mask(self, position: int) -> Image.Image | None:
        return _decoded(self.masks[position]) if position in self.masks else None

    def fingerprint(self, positions: Iterable[int]) -> str:
        # The bytes themselves: a changed file of the same size and time must not go unnoticed.
        digest = hashlib.sha256()
        for position in positions:
            digest.update(hashlib.sha256(Path(self.paths[position]).read_bytes()).digest())
        return digest.hexdigest()


def _decoded(path: str) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def image_files(folder: Path, nested: bool = True) -> list[Path]:
    """Image files below a folder (or directly in it), sorted; hidden files and folders are passed over."""
    places = _folders(folder) if nested else [folder]
    return sorted(
        path
        for place in places
        for path in place.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _folders(folder: Path) -> Iterator[Path]:
    """The folder and all below it, behind links too: each once, under its own name rather than that of a link.

    A link to what encloses the folder is a loop and leads nowhere.
    """
    seen, starts = {str(parent) for parent in folder.resolve().parents}, [folder]
    for start in starts:  # links are added on the way
        for place, names, _ in os.walk(start):
            resolved = os.path.realpath(place)
            names[:] = [] if resolved in seen else sorted(name for name in names if not name.startswith("."))
            if resolved not in seen:
                seen.add(resolved)
                starts += [path for name in names if (path := Path(place, name)).is_symlink()]
                yield Path(place)


def printable(name: str) -> str:
    """A file's name as terminals and tables can hold it: bytes that are not UTF-8 become e.g. \\udcff."""
    return name.encode(errors="backslashreplace").decode()


def existing_folder(option: str, folder: str | Path | None, hint: str) -> Path:
    """The folder that an option names; raises FileNotFoundError, with the hint, where it is not one."""
    if folder is None:
        raise FileNotFoundError(f"{option} is not set: {hint}")
    path = Path(os.path.expanduser(folder))  # that of pathlib raises where there is no such home
    if not path.is_dir():
        raise FileNotFoundError(f"{option}={folder} is not a folder: {hint}")
    return path
