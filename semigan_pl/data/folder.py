"""One's own images: normal/ and anomalous/, with or without train/, val/ and test/ above them, and perhaps masks/."""

from __future__ import annotations

from pathlib import Path

from semigan_pl.data.image_source import ImageFiles, existing_folder, image_files
from semigan_pl.data.mask_files import match_masks

LAYOUT = "it must hold normal/ and anomalous/, or train/, test/ (and perhaps val/) that hold them"


def folder(root: str | None, name: str) -> ImageFiles:
    """Reads image files in sorted order; hidden files are passed over.

    The class of everything in normal/ is "normal". What lies in anomalous/ is of the class "anomalous", and what lies
    in a folder below it of a class with that folder's name ("scratch", or "scratch/deep" further down). The defective
    pixels of anomalous/scratch/a.jpg may be marked in masks/scratch/a.png (or a_mask.png) beside anomalous/.

    Raises:
        FileNotFoundError: the layout is another, or there are no normal images.
        ValueError: a mask fits no image, or an image has two.
    """
    base = existing_folder("data.root", root, f"give your folder of images; {LAYOUT}")
    parts = [part for part in ("train", "val", "test") if (base / part).is_dir()] or [""]
    found = [(part, *image) for part in parts for image in _labelled(base / part)]
    if not any(class_name == "normal" for _, class_name, _ in found):
        raise FileNotFoundError(f"data.root={root} holds no normal images: {LAYOUT}")
    class_names = ["normal", *sorted({class_name for _, class_name, _ in found} - {"normal"})]
    classes = [class_names.index(class_name) for _, class_name, _ in found]
    masks: dict[int, str] = {}
    for part in {*parts, ""}:  # masks that lie above the parts would fit no image, which must not pass unnoticed
        anomalous = {
            position: path
            for position, (of_part, class_name, path) in enumerate(found)
            if of_part == part and class_name != "normal"
        }
        here = base / part
        masks |= match_masks(anomalous, here / "anomalous", image_files(here / "masks"), here / "masks")
    paths = [str(path) for *_, path in found]
    return ImageFiles(name, class_names, classes, [part for part, *_ in found], paths, masks=masks)


def _labelled(base: Path) -> list[tuple[str, Path]]:
    """(class name, file) of every image below normal/ and anomalous/."""
    normal = [("normal", path) for path in image_files(base / "normal")]
    return normal + [(_kind(path, base / "anomalous"), path) for path in image_files(base / "anomalous")]


def _kind(path: Path, anomalous: Path) -> str:
    """Kind of defect: the folder below anomalous/. One that is called "normal" does not pass for normal."""
    kind = path.parent.relative_to(anomalous).as_posix()
    return "anomalous" if kind in (".", "normal") else kind
