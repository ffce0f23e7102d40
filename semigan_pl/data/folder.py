"""One's own images: normal/ and anomalous/, with or without train/, val/ and test/ above them."""

from __future__ import annotations

from pathlib import Path

from semigan_pl.data.image_source import ImageFiles, existing_folder, image_files

LAYOUT = "it must hold normal/ and anomalous/, or train/, test/ (and perhaps val/) that hold them"


def folder(root: str | None, name: str) -> ImageFiles:
    """Reads image files in sorted order; hidden files are passed over.

    The class of everything in normal/ is "normal". What lies in anomalous/ is of the class "anomalous", and what lies
    in a folder below it of a class with that folder's name ("scratch", or "scratch/deep" further down).

    Raises:
        FileNotFoundError: the layout is another, or there are no normal images.
    """
    base = existing_folder("data.root", root, f"give your folder of images; {LAYOUT}")
    parts = [part for part in ("train", "val", "test") if (base / part).is_dir()] or [""]
    found = [(part, *image) for part in parts for image in _labelled(base / part)]
    if not any(class_name == "normal" for _, class_name, _ in found):
        raise FileNotFoundError(f"data.root={root} holds no normal images: {LAYOUT}")
    class_names = ["normal", *sorted({class_name for _, class_name, _ in found} - {"normal"})]
    classes = [class_names.index(class_name) for _, class_name, _ in found]
    return ImageFiles(name, class_names, classes, [part for part, _, _ in found], [str(path) for _, _, path in found])


def _labelled(base: Path) -> list[tuple[str, Path]]:
    """(class name, file) of every image below normal/ and anomalous/."""
    normal = [("normal", path) for path in image_files(base / "normal")]
    return normal + [(_kind(path, base / "anomalous"), path) for path in image_files(base / "anomalous")]


def _kind(path: Path, anomalous: Path) -> str:
    """Kind of defect: the folder below anomalous/. One that is called "normal" does not pass for normal."""
    kind = path.parent.relative_to(anomalous).as_posix()
    return "anomalous" if kind in (".", "normal") else kind
