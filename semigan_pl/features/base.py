"""What every extractor of features shares."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from semigan_pl.checks import whole

CheckUnseen = Callable[[dict[str, Any]], None]


class Features(nn.Module, ABC):
    """Images (N, C, H, W) in [-1, 1] to feature vectors (N, D), each image for itself.

    Nothing is learned here, and nothing ever leaves eval mode. Constructing needs no download and no file: `fetch`
    brings what comes from elsewhere, and from then on the state dict holds it.

    Args:
        components: number of principal components that a detector is to keep of the features; None: all as they are.
        ready: whether features can be had before anything is fetched or loaded.
    """

    costly = False  # whether features take so long that keeping them in files is worth it
    ready: Tensor

    def __init__(self, components: int | None, ready: bool) -> None:
        super().__init__()
        self.components = None if components is None else whole("features.components", components, least=1)
        self.register_buffer("ready", torch.tensor(ready))  # in the state dict: who loads one need not fetch
        self.eval()

    def train(self, mode: bool = True) -> Features:
        """Stays in eval mode: with batch statistics or dropout an image's features would depend on its batch."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features of images (N, C, H, W), (N, D) in float32 whatever precision surrounds them.

        Raises ValueError for what are no images, RuntimeError before `fetch`.
        """
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(
                f"features are of images (N, C, H, W) in [-1, 1], and these are {images.dtype} of shape"
                f" {tuple(images.shape)}"
            )
        if not self.ready:
            raise RuntimeError(f"{type(self).__name__} features have no weights yet: fetch them or load a state dict")
        with torch.autocast(images.device.type, enabled=False):
            # contiguous: other layouts in memory are other kernels, with other last bits
            return self._extract(images.float().contiguous())

    @abstractmethod
    def _extract(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, C, H, W), float32 and contiguous."""

    def fetch(self, check_unseen: CheckUnseen) -> None:
        """Brings pretrained weights, before anything is fitted; not needed where a state dict is loaded.

        Args:
            check_unseen: raises ValueError if a checkpoint with this content was trained on images that are tested.

        Raises FileNotFoundError or ValueError, in a sentence, where they cannot be had.
        """

    def fingerprint(self) -> str:
        """Of all that features depend on besides the image: kind, settings, structure and weights; sha256."""
        digest = hashlib.sha256(repr(self).encode())  # settings are in `extra_repr`
        for name, value in self.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def resized(images: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) as squares of `size` px: bilinear, every source pixel counted; of that size: as they are."""
    if images.shape[2:] == (size, size):
        return images
    return interpolate(images, (size, size), mode="bilinear", antialias=True)
