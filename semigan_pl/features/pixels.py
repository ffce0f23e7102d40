"""The pixels themselves."""

from __future__ import annotations

from torch import Tensor

from semigan_pl.checks import whole
from semigan_pl.features.base import Features, resized


class Pixels(Features):
    """Grey levels in [-1, 1] in a row, (N, C * H * W).

    Args:
        image_size: px to which images are resized first; None: they stay as they are.
        components: see Features.
    """

    def __init__(self, image_size: int | None, components: int | None) -> None:
        super().__init__(components, ready=True)
        self.image_size = None if image_size is None else whole("features.image_size", image_size, least=1)

    def extra_repr(self) -> str:
        return f"image_size={self.image_size}"

    def _extract(self, images: Tensor) -> Tensor:
        return (images if self.image_size is None else resized(images, self.image_size)).flatten(1)
