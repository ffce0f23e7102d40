"""ALOCC (Sabokrou et al. 2018): R redraws noisy images, and a discriminator judges what it has redrawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from semigan_pl.checks import number, whole
from semigan_pl.latent_search import filled, frozen
from semigan_pl.losses.distances import anomaly_map, residual
from semigan_pl.methods.adversarial import GENERATOR, AdversarialModule
from semigan_pl.types import Batch, Inspection


class ALOCC(AdversarialModule):
    """R is shown x~ = x + eta and has to return x, so well that D takes R(x~) for real; outliers it distorts.

    min_R max_D E[log D(x)] + E[log(1 - D(R(x~)))] + lambda L_R, eta ~ N(0, sigma^2), L_R = ||x - R(x~)||^2 to the clean
    image, here the mean square over pixels and channels (ours: the paper does not say, and with a sum lambda would mean
    something else at every size; its code has a mean). The paper's code departs from the paper: cross-entropy to the
    noisy image, lambda .2, noise clipped, two steps of R. This is the paper, with the game's losses as `loss` says.

    The paper stops when L_R < rho, since a longer training teaches R to redraw outliers too. Here (ours) L_R is that of
    the averaged R on the unlabelled images of validation, noisy as in training, each always with its own noise; rho is
    per pixel, for images in [-1, 1]. Once below it the training ends, and a continued one stays ended.

    Known anomalies (ours): at gamma < 1 D's fake side is gamma p_R + (1 - gamma) p_a. R is a generator in that game, so
    lambda = 0 leaves the optimum of Kimura & Yanagihara (2018): R's images follow (p_d - (1 - gamma) p_a) / gamma where
    that is not negative. L_R, of unlabelled images only, draws against it where those are contaminated.

    Terms, (N,) each, without noise: `refined` = -f(R(x)) (OCC2, the paper's better score: 1 - D(R(x)) rises and falls
    with it, but is rounded to 0 or 1 where D is sure), `critic` = -f(x) (OCC1) and `residual` = ||x - R(x)||_1.

    Args:
        lambda_: weight of L_R; .4 in the paper.
        sigma: of the noise, as a share of the range from black to white (2, in [-1, 1]); .155 in the paper's code.
        g_steps: steps of R per step of D; 1 in the paper, 2 in its code.
        rho: L_R below which the training ends; None: it never ends early.
        rho_every: unlabelled training images between two looks at it.
        **base: the arguments of AdversarialModule; the generator is a Reconstructor.
    """

    terms = ("refined", "critic", "residual")
    encodes = False
    grows = False

    def __init__(
        self, lambda_: float, sigma: float, g_steps: int, rho: float | None, rho_every: int, **base: Any
    ) -> None:
        super().__init__(**base)
        self.lambda_ = number("model.lambda_", lambda_, least=0)
        self.sigma = number("model.sigma", sigma, least=0)
        self.g_steps = whole("model.g_steps", g_steps, least=1)
        self.rho = None if rho is None else number("model.rho", rho, above=0)
        self.rho_every = whole("model.rho_every", rho_every, least=1)
        self.ended = False  # by rho

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "ended": self.ended}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.ended = state["ended"]

    def turn(self) -> tuple[str, ...]:
        movers = super().turn()
        return movers + (GENERATOR,) * (self.g_steps - 1) if GENERATOR in movers else movers

    def generator_inputs(self, real: Tensor) -> Tensor:
        """x~, (N, C, H, W)."""
        return real + 2 * self.sigma * self.gaussian(*real.shape)

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_R+D and lambda L_R, of unlabelled images."""
        images = batch.unlabelled
        redrawn = self.fakes(images)
        return {
            "g_adversarial": self.loss.generator(self.discriminator(redrawn)).mean(),
            "g_reconstruction": self.lambda_ * (images - redrawn).square().mean(),
        }

    def on_train_start(self) -> None:
        self.trainer.should_stop |= self.ended and self.rho is not None

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        before = self.images_seen
        super().training_step(batch, batch_idx)
        # here, not in a hook after the checkpoint's: what is saved knows whether the training has ended
        if self.rho is not None and before // self.rho_every < self.images_seen // self.rho_every:
            self._look(self.rho)

    def _look(self, rho: float) -> None:
        """Ends the training, on every process, if validation says so."""
        error = self.validation_error()
        for logger in self.loggers:
            logger.log_metrics({"val/reconstruction_error": error}, step=self.images_seen)
        if error < rho:
            self.ended = self.trainer.should_stop = True
            self.print(f"Ended after {self.images_seen:,} images: L_R is {error:.4g}, below model.rho={rho}.")

    def validation_error(self) -> float:
        """L_R of the unlabelled images of validation, the same number on every process."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        total, count = torch.zeros(2, dtype=torch.float64, device=self.device)
        with torch.no_grad(), frozen(self), torch.autocast(self.device.type, enabled=False):
            for batch in data.val_dataloader():
                images = batch.unlabelled
                if not len(images):  # known anomalies come last
                    continue
                noisy = images + 2 * self.sigma * _noise_of(batch.indices[batch.labels == 0], images.shape[1:])
                redrawn = self.best_generator(filled(noisy, self.block_size).to(self.device))[: len(images)]
                total += (images.to(self.device) - redrawn).square().sum()
                count += images.numel()
        if self.trainer.world_size > 1:  # each has its share of the images
            for value in (total, count):
                torch.distributed.all_reduce(value)
        return float(total / count)

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        redrawn = self.best_generator(images)
        return Inspection(
            terms={
                "refined": -self.logits(redrawn),
                "critic": -self.logits(images),
                "residual": residual(images, redrawn),
            },
            anomaly_map=anomaly_map(images, redrawn),
            reconstruction=redrawn,
        )


def _noise_of(indices: Tensor, shape: torch.Size) -> Tensor:
    """N(0, 1) for images at these places of the data set, (N, *shape): whichever process looks at which of them."""
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(int(i))) for i in indices])
