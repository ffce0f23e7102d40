"""MVTec AD (Bergmann, Fauser, Sattlegger, Steger 2019) and the many data sets that took over its layout."""

from __future__ import annotations

from pathlib import Path

from semigan_pl.data.image_source import ImageFiles, existing_folder, image_files
from semigan_pl.data.mask_files import check_complete, match_masks

NORMAL_KINDS = ("good", "ok")  # MVTec AD's word, and that of BeanTech's data set
PARTS = {"train": "train", "validation": "val", "test": "test"}  # folder -> part; MVTec AD itself has no validation
MASKS = "ground_truth"
HINT = "give a category's folder, which holds train/good/ and test/, or its parent and data.category"


def mvtec(root: str | None, category: str | None, split_defects: bool, name: str) -> ImageFiles:
    """Reads one category: train/good, test/good, test/<kind>, ground_truth/<kind>/<stem>_mask.png.

    Classes are the kinds, "good" first. Masks may be of any file type and may do without `_mask`; those of normal
    images are passed over. Without the folder ground_truth there are no masks.

    Args:
        root: the category's folder or its parent.
        category: name of the category; None where `root` leaves no choice.
        split_defects: leave it to the protocol which defective images are tested: MVTec AD has none for training.

    Raises:
        FileNotFoundError: there is no such folder, or no normal training images.
        ValueError: the category is not said; a defective image has no mask, or a mask no image.
    """
    base = _category_folder(existing_folder("data.root", root, HINT), category)
    found = [
        (part, kind.name, path)
        for folder, part in PARTS.items()
        for kind in _folders(base / folder)
        for path in image_files(kind)
    ]
    if not any(part == "train" and kind in NORMAL_KINDS for part, kind, _ in found):
        raise FileNotFoundError(f"{base} holds no images in train/good: {HINT}")
    class_names = sorted({kind for _, kind, _ in found}, key=lambda kind: (kind not in NORMAL_KINDS, kind))
    parts = ["" if split_defects and kind not in NORMAL_KINDS else part for part, kind, _ in found]
    tested = {
        position: path
        for position, (part, kind, path) in enumerate(found)
        if part == "test" and kind not in NORMAL_KINDS
    }
    masks = _masks(base, tested)
    notes = [f"Category: {base.name}."]
    if split_defects:
        notes.append("The defective images of the test part are divided between training and test (split_defects).")
    if not masks:
        notes.append(f"There is no folder {MASKS}, so nothing is known of defective pixels.")
    classes = [class_names.index(kind) for _, kind, _ in found]
    return ImageFiles(name, class_names, classes, parts, [str(path) for *_, path in found], notes=notes, masks=masks)


def _category_folder(root: Path, category: str | None) -> Path:
    """The folder that holds train/ and test/."""
    if _is_category(root) and category in (None, root.resolve().name):
        return root
    categories = [path.name for path in _folders(root) if _is_category(path)]
    if not categories:
        raise FileNotFoundError(f"data.root={root} holds no category{f' {category}' if category else ''}: {HINT}")
    if category is None and len(categories) > 1:
        raise ValueError(f"data.root={root} holds several categories: add data.category={'|'.join(categories)}")
    if category not in (None, *categories):
        raise ValueError(f"data.category={category} is not in data.root={root}: choose among {', '.join(categories)}")
    return root / (category or categories[0])


def _is_category(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir()


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _masks(base: Path, tested: dict[int, Path]) -> dict[int, str]:
    """Masks of the defective test images by position."""
    if not (base / MASKS).is_dir():
        return {}
    kinds = [kind for kind in _folders(base / MASKS) if kind.name not in NORMAL_KINDS]
    masks = match_masks(tested, base / "test", (mask for kind in kinds for mask in image_files(kind)), base / MASKS)
    check_complete(tested, masks, f"add it to {base / MASKS}, or rename that folder to go without masks")
    return masks
