"""Surface defects of magnetic tiles, with pixel masks (Huang, Qiu, Yuan, The Visual Computer 2018)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from semigan_pl.data.image_source import ImageFiles, existing_folder, image_files
from semigan_pl.data.mask_files import check_complete, match_masks

NORMAL = "Free"
IMAGES = "Imgs"
HINT = "give the folder that holds MT_Free, MT_Blowhole and the other MT_ folders, or its parent"
SHOT = re.compile(r"exp\d+_num_(\d+)")  # exposure, and a number that counts up while a tile is photographed
# A tile was photographed six times in a row, 10 to 90 numbers apart, a few up to 260 (looked at). Larger steps lead to
# another tile; where two tiles come closer than this, they form one group, which does no harm.
LARGEST_STEP = 300


def magnetic_tile(root: str | None, group_tiles: bool, name: str) -> ImageFiles:
    """Reads MT_<kind>/Imgs/<name>.jpg, and <name>.png as its mask; classes are the kinds, "Free" is normal.

    Masks of normal images are passed over. Some masks of defective images (four of MT_Uneven) are entirely empty: they
    are handed on as they are.

    Args:
        root: the folder of the MT_ folders, or its parent.
        group_tiles: the shots of one tile form a group, so that no tile is both trained and tested.

    Raises:
        FileNotFoundError: there are no MT_ folders with images.
        ValueError: a defective image has no mask, or a mask no image.
    """
    base = _base(existing_folder("data.root", root, HINT))
    kinds = [path.parent.name.removeprefix("MT_") for path in _image_folders(base)]
    kinds.sort(key=lambda kind: (kind != NORMAL, kind))
    found = [(kind, path) for kind in kinds for path in _files(base, kind, masks=False)]
    masks = [path for kind in kinds if kind != NORMAL for path in _files(base, kind, masks=True)]
    defective = {position: path for position, (kind, path) in enumerate(found) if kind != NORMAL}
    notes = []
    if masks:
        matched = match_masks(defective, base, masks, base)
        check_complete(defective, matched, "add it beside the image, as <name>.png")
    else:
        matched = {}
        notes.append("There are no masks beside the defective images, so nothing is known of defective pixels.")
    groups = _tiles([path.stem for _, path in found]) if group_tiles else None
    if groups is not None:
        notes.append(
            f"Every tile was photographed several times: its shots are never divided ({len(set(groups))} groups)."
        )
    classes = [kinds.index(kind) for kind, _ in found]
    paths = [str(path) for _, path in found]
    return ImageFiles(name, kinds, classes, [""] * len(paths), paths, notes=notes, groups=groups, masks=matched)


def _image_folders(base: Path) -> list[Path]:
    return sorted(path for path in base.glob(f"MT_*/{IMAGES}") if path.is_dir())


def _base(root: Path) -> Path:
    for folder in (root, *(path for path in sorted(root.iterdir()) if path.is_dir())):
        if any(image_files(path, nested=False) for path in _image_folders(folder)):
            return folder
    raise FileNotFoundError(f"data.root={root} holds no MT_<kind>/{IMAGES} with images: {HINT}")


def _files(base: Path, kind: str, masks: bool) -> list[Path]:
    """Masks are PNG files beside the images, which are JPEG."""
    files = image_files(base / f"MT_{kind}" / IMAGES, nested=False)
    return [path for path in files if (path.suffix.lower() == ".png") == masks]


def _tiles(names: Sequence[str]) -> list[str]:
    """Name of every image's tile, by the number of its first shot; "" where a file is called otherwise."""
    numbers = [int(match[1]) if (match := SHOT.fullmatch(name)) else None for name in names]
    tiles: dict[int, str] = {}
    last = first = -LARGEST_STEP - 1
    for number in sorted({number for number in numbers if number is not None}):
        if number - last > LARGEST_STEP:
            first = number
        tiles[number] = f"tile {first}"
        last = number
    return ["" if number is None else tiles[number] for number in numbers]
