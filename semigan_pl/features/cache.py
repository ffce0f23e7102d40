"""Features computed once: one file per image, found by what the image shows and by what looked at it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semigan_pl.atomic import write_bytes
from semigan_pl.features.base import Features


class CachedFeatures:
    """Features of images, from files where they are there.

    What comes out is the same to the bit whatever was kept before. So a block of which one image is missing is computed
    as a whole, since kernels and with them last bits go by its shape; and features are kept apart by all else that
    last bits go by. Several runs may share the folder: files are whole or not there, and damaged ones are made anew.

    Args:
        features: what is kept; its weights may change, and are then others'.
        folder: where files are kept. If it cannot be written, one warning says so and nothing is kept.
    """

    def __init__(self, features: Features, folder: Path) -> None:
        self._features = features
        self._folder = folder.expanduser()
        self._writable = True
        self._version: list[tuple[int, int]] = []
        self._fingerprint = ""

    def __call__(self, images: Tensor) -> Tensor:
        """Features of images (N, C, H, W), (N, D), on their device."""
        paths = self._paths(images)
        stored = [_read(path) for path in paths]
        if any(row is None for row in stored):
            computed = self._features(images).cpu()
            self._keep({path: computed[n] for n, path in enumerate(paths) if stored[n] is None})
            stored = [computed[n] if row is None else row for n, row in enumerate(stored)]
        return torch.stack(stored).to(images.device)  # type: ignore[arg-type]

    def _paths(self, images: Tensor) -> list[Path]:
        """A file for each image."""
        self._follow_weights()
        cpu = torch.backends.cpu.get_cpu_capability()
        circumstances = f"{torch.__version__} {images.device.type} {cpu} {torch.get_num_threads()} {len(images)}"
        place = hashlib.sha256(f"{self._fingerprint} {circumstances}".encode()).hexdigest()[:16]
        kind = f"{images.dtype} {tuple(images.shape[1:])}".encode()
        contents = images.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()
        return [self._folder / place / hashlib.sha256(kind + content.tobytes()).hexdigest() for content in contents]

    def _follow_weights(self) -> None:
        """Takes the fingerprint anew where weights were loaded since: of large networks it takes a second."""
        version = [(value.data_ptr(), value._version) for value in self._features.state_dict().values()]
        if version != self._version:
            self._version, self._fingerprint = version, self._features.fingerprint()

    def _keep(self, rows: dict[Path, Tensor]) -> None:
        for path, row in rows.items():
            if not self._writable:
                return
            try:
                content = row.numpy().astype("<f4").tobytes()
                write_bytes(path, _digest(path, content) + content)
            except OSError as error:
                self._writable = False
                print(f"warning: features cannot be kept in {self._folder} ({error}): go on without", file=sys.stderr)


def _digest(path: Path, content: bytes) -> bytes:
    """32 bytes that stand before the content: a file that was cut short, altered or renamed has others."""
    return hashlib.sha256(path.name.encode() + content).digest()


def _read(path: Path) -> Tensor | None:
    """A vector (D,); None where it is not there, or damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    content = stored[32:]
    if stored[:32] != _digest(path, content):
        return None
    return torch.from_numpy(np.frombuffer(content, dtype="<f4").astype(np.float32))
