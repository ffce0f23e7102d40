"""Heat overlays as files, one for an image."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePath

from omegaconf import DictConfig
from PIL import Image

from semigan_pl.atomic import replacing
from semigan_pl.detector import Detector
from semigan_pl.tasks.suspects import Seen, overlay

LONGEST_NAME = 200  # of an image, in bytes
CHOICES = ("all", "anomalous", "none")


def check_choice(overlays: str) -> None:
    """Raises ValueError unless it is one of CHOICES."""
    if overlays not in CHOICES:
        raise ValueError(f"overlays={overlays} must be one of {', '.join(CHOICES)}")


def write_overlay(config: DictConfig, detector: Detector, seen: Seen) -> None:
    """Writes the image's overlay, if there is one and `overlays=` wants it."""
    if config.overlays == "all" or (config.overlays == "anomalous" and seen.found.is_anomalous):
        if (pixels := overlay(seen, detector)) is None:
            return
        with replacing(overlay_path(Path(config.run), str(seen.found.path), config.data.root)) as partial:
            Image.fromarray(pixels).save(partial, compress_level=1)  # twice as large and five times as quick


def overlay_path(folder: Path, path: str, root: str | None) -> Path:
    """overlays/<path below the root>.png; nothing in a path leads out of that folder, and a long name is cut short."""
    inner = PurePath(path)
    if root is not None and inner.is_relative_to(root):
        inner = inner.relative_to(root)
    parts = [part for part in inner.parts if part not in ("..", inner.anchor)]
    name = os.fsencode(parts[-1])
    if len(name) > LONGEST_NAME:  # file systems end at 255; the hash keeps names apart that begin alike
        short = name[: LONGEST_NAME - 20].decode(errors="ignore")
        parts[-1] = f"{short}-{hashlib.sha256(name).hexdigest()[:12]}"
    return folder.joinpath("overlays", *parts[:-1], f"{parts[-1]}.png")
