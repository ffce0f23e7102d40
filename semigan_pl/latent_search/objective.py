"""How a batch of a latent search is computed: its loss, and the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from semigan_pl.latent_search.freezing import settled
from semigan_pl.latent_search.loss import SearchLoss
from semigan_pl.latent_search.working_set import WorkingSet

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MODES = (None, "default", "reduce-overhead", "max-autotune")


class SearchResult(NamedTuple):
    """Where the search ended, per image. All of it float32."""

    z: Tensor  # (N, latent_dim)
    reconstruction: Tensor  # G(z), (N, C, H, W)
    residual: Tensor  # L_R(z), (N,)
    discrimination: Tensor  # L_D(z), (N,)
    loss: Tensor  # L(z), (N,)


def filled(rows: Tensor, n: int) -> Tensor:
    """Rows (N, ...) and copies of the last one, up to `n`.

    Measured on CPUs: what comes out of a row in a convolution or matrix product does not depend, to the bit, on how
    many rows there are and where it stands among them, as long as they are a multiple of WorkingSet.multiple.
    """
    missing = n - len(rows)
    return rows if missing <= 0 else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])


class Objective:
    """L(z), equation (4), for copies of the networks that never change.

    Args:
        generator: latents (N, latent_dim) to images (N, C, H, W).
        discriminator: offers `features`, images to f_l, (N, F).
        loss: what a search minimises.
        precision: of the networks while a search is under way, float32 or bfloat16; results are always float32.
        compile: mode of torch.compile for the descent; None: eager. Then all batches have the same number of rows.
        working_set: rows in a batch.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: SearchLoss,
        precision: str,
        compile: str | None,
        working_set: WorkingSet,
    ) -> None:
        self.loss = loss
        self.exact: tuple[Any, Any] = (settled(generator), settled(discriminator))
        self.quick: tuple[Any, Any] = self.exact  # while a search is under way
        self.dtype = PRECISIONS[precision]
        if self.dtype != torch.float32:
            self.quick = (settled(generator).to(self.dtype), settled(discriminator).to(self.dtype))
        self.working_set = working_set
        device = next(generator.parameters()).device
        self.same_shape = compile is not None or device.type != "cpu"  # a GPU picks other kernels for other shapes
        forward = self._quick_loss
        self._loss = torch.compile(forward, mode=compile, dynamic=False) if compile else forward

    def padded(self, n: int) -> int:
        """How many rows a batch of `n` has: see `filled`."""
        rows, multiple = self.working_set
        return -(-(rows if self.same_shape else n) // multiple) * multiple

    def descend(self, z: Tensor, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (N,) and its gradient (N, latent_dim) of N rows, a full batch."""
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            loss: Tensor = self._loss(z, images, targets)
            (gradient,) = torch.autograd.grad(loss.sum(), z)  # of the sum: each row sees its own gradient only
        return loss.detach(), gradient

    def _quick_loss(self, z: Tensor, images: Tensor, targets: Tensor) -> Tensor:
        generator, discriminator = self.quick
        made = generator(z.to(self.dtype))
        features = discriminator.features(made)
        between = self.loss.between
        return self.loss(z, between(images, made.float()), between(targets, features.float()))

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """f_l of any number of images, (N, F)."""
        discriminator = self.exact[1]
        return torch.cat([discriminator.features(part)[:n] for part, n in self.batches(images)])

    @torch.no_grad()
    def generate(self, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """G(z) and its features, batch by batch."""
        generator, discriminator = self.exact
        for part, n in self.batches(z):
            made = generator(part)
            yield made[:n], discriminator.features(made)[:n]

    @torch.no_grad()
    def evaluate(self, z: Tensor, images: Tensor, targets: Tensor) -> SearchResult:
        """The terms of any number of rows."""
        parts, first = list[SearchResult](), 0
        for made, features in self.generate(z):
            rows = slice(first, first := first + len(made))
            residual = self.loss.between(images[rows], made)
            discrimination = self.loss.between(targets[rows], features)
            loss = self.loss(z[rows], residual, discrimination)
            parts.append(SearchResult(z[rows], made, residual, discrimination, loss))
        return SearchResult(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def batches(self, rows: Tensor) -> Iterator[tuple[Tensor, int]]:
        """Full batches of rows, and how many of each count."""
        for part in rows.split(self.working_set.rows):
            yield filled(part, self.padded(len(part))), len(part)
