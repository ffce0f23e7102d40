"""Files of masks: which mask belongs to which image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

MASK_SUFFIX = "_mask"


def match_masks(
    images: Mapping[int, Path], image_folder: Path, masks: Iterable[Path], mask_folder: Path
) -> dict[int, str]:
    """Mask file by position. The mask of `scratch/a.jpg` is `scratch/a.png` or `scratch/a_mask.png`, of any file type.

    Args:
        images: file by position, below `image_folder`.
        masks: files below `mask_folder`.

    Raises:
        ValueError: a mask fits no image, or two images; an image has two masks.
    """
    positions: dict[str, list[int]] = {}
    for position, path in images.items():
        positions.setdefault(_key(path, image_folder), []).append(position)
    matched: dict[int, str] = {}
    for mask in masks:
        key = _key(mask, mask_folder)
        fitting = positions.get(key) or positions.get(key.removesuffix(MASK_SUFFIX), [])
        if len(fitting) != 1:
            what = f"fits {len(fitting)} images" if fitting else f"is the mask of no image in {image_folder}"
            raise ValueError(f"{mask} {what}: give every mask the name of its image, or remove it")
        if fitting[0] in matched:
            raise ValueError(f"{images[fitting[0]]} has two masks, {matched[fitting[0]]} and {mask}: remove one")
        matched[fitting[0]] = str(mask)
    return matched


def check_complete(images: Mapping[int, Path], matched: Mapping[int, str], remedy: str) -> None:
    """Raises ValueError, with the remedy, where images lack their mask."""
    lacking = [path for position, path in images.items() if position not in matched]
    if lacking:
        raise ValueError(f"{len(lacking)} of {len(images)} defective images have no mask, {lacking[0]} first: {remedy}")


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
