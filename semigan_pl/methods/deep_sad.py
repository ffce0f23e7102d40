"""Deep SAD (Ruff et al. 2020): a hypersphere around unlabelled images, and known anomalies far away from it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, share, whole
from semigan_pl.latent_search import frozen
from semigan_pl.losses.distances import anomaly_map
from semigan_pl.losses.hypersphere import away_from_zero, hypersphere_terms, squared_distance
from semigan_pl.methods.encoding import mean_squared_difference
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.types import Batch, Inspection


class DeepSAD(LearnedModule):
    """An autoencoder is pretrained on unlabelled images; then its encoder phi learns to draw them to a center c.

    Second stage (eq. 7, MEMORY): 1/(n+m) sum ||phi(x) - c||^2 + eta/(n+m) sum (||phi(x~) - c||^2 + epsilon)^-1 over n
    unlabelled images x and m known anomalies x~; c is the mean of phi over the unlabelled training images as the stage
    begins. Without known anomalies this is one-class Deep SVDD (Ruff et al. 2018).

    The authors' code draws batches from the joint set (FOUND); ours hold both kinds in any proportion: each kind's
    mean is weighted by its share of the joint set, which would have the same expectation if BatchNorm did not see the
    batch. Its statistics here are of a blend half of known anomalies, where the authors' have as few as the joint set;
    data.known_batch_size makes it so (`known_share` sets another weight).
    Their pretraining and their center include the known anomalies (FOUND), ours are of unlabelled images. They never
    load the pretrained encoder (measured); here it is the same network that goes on.

    Terms, (N,) each: `distance` = ||phi(x) - c||^2, the score, and `residual` = 1/n ||x - AE(x)||^2. Reconstruction and
    map are those of the autoencoder as its stage left it: they explain an image, but not its distance.

    Args:
        encoder: images (N, C, H, W) to (N, representation_dim), without bias terms: with them phi could be constant.
        decoder: the way back.
        max_images: length of the training, in unlabelled images seen.
        pretrain_share: of it, at its beginning, in which the autoencoder learns.
        decay_at, decay: after which share of a stage its learning rate falls, and to how many times its value.
        eta: weight of known anomalies.
        epsilon: keeps the inverse of a distance finite.
        least_center: coordinates of c nearer to 0 are moved to +- this.
        known_share: weight of known anomalies among all, in (0, 1); None: their share of the training set.
        **base: the arguments of LearnedModule.
    """

    terms = ("distance", "residual")
    players = ("autoencoder", "encoder")
    grows = False

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        max_images: int,
        pretrain_share: float,
        decay_at: float,
        decay: float,
        eta: float,
        epsilon: float,
        least_center: float,
        known_share: float | None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        # channel by channel for each pixel: a step takes half as long on a CPU (measured)
        self.autoencoder = nn.Sequential(encoder, decoder).to(memory_format=torch.channels_last)
        self.pretrained = copy.deepcopy(encoder).requires_grad_(False)  # the encoder as the second stage found it
        # no buffer: what is a statistic, several processes average
        dim: Any = encoder.representation_dim
        self.center = nn.Parameter(torch.zeros(dim), requires_grad=False)
        self.begun = False  # whether center and copy are those of the second stage
        self.max_images = whole("max_images", max_images, least=0)
        self.begins_at = round(share("model.pretrain_share", pretrain_share, above_zero=True) * self.max_images)
        self.decay_at = share("model.decay_at", decay_at)
        self.decay = number("model.decay", decay, above=0, most=1)
        self.eta = number("model.eta", eta, least=0)
        self.epsilon = number("model.epsilon", epsilon, above=0)
        self.least_center = number("model.least_center", least_center, least=0)
        self.known_share = None if known_share is None else share("model.known_share", known_share, above_zero=True)

    @property
    def encoder(self) -> nn.Module:
        return self.autoencoder[0]

    @property
    def decoder(self) -> nn.Module:
        return self.autoencoder[1]

    @property
    def pretrains(self) -> bool:
        """Whether the batch to come is the autoencoder's."""
        return self.images_seen < self.begins_at

    def turn(self) -> tuple[str, ...]:
        return ("autoencoder",) if self.pretrains else ("encoder",)

    def resting(self, player: str) -> tuple[nn.Module, ...]:
        return (self.pretrained,) if player == "autoencoder" else (self.pretrained, self.decoder)

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "begun": self.begun}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.begun = state["begun"]

    def on_train_start(self) -> None:
        if self._data is not None and not len(self._data.splits.train_known):
            self.print("No known anomalies to train on: without them Deep SAD is one-class Deep SVDD.")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Learning rates, and the change of stages: functions of the images seen."""
        if self.pretrains:
            self.begun = False
        elif not self.begun:
            self._begin(batch.unlabelled)
        start, end = (0, self.begins_at) if self.pretrains else (self.begins_at, self.max_images)
        late = self.images_seen >= start + self.decay_at * (end - start)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * (self.decay if late else 1)

    def on_train_end(self) -> None:
        """A training too short for the second stage is still scored around a center, where there are data for one."""
        super().on_train_end()
        if not self.begun and self._data is not None:
            self._begin(None)

    @property
    def _data(self) -> Any:
        """The data module; None where a bare loader trains."""
        return getattr(self.trainer, "datamodule", None)

    @torch.no_grad()
    def _begin(self, unlabelled: Tensor | None) -> None:
        """The second stage: the encoder is kept as it is, and the center is where it now sees the unlabelled images.

        All of the training set's; without a data module, those at hand.
        """
        self.pretrained.load_state_dict(self.encoder.state_dict())
        blocks: Any = [unlabelled]
        if self._data is not None:
            blocks = (block.images for block in self._data.pool_dataloader())
        self.center.copy_(away_from_zero(self._mean_representation(blocks), self.least_center))
        self.begun = True

    def _mean_representation(self, blocks: Iterable[Tensor]) -> Tensor:
        """Mean of phi over the images of all processes, of which this one has these, (D,)."""
        total = torch.zeros(len(self.center) + 1, dtype=torch.float64)  # and how many
        with frozen(self.encoder):
            for images in blocks:
                total[:-1] += self.encoder(images.to(self.device)).sum(0).cpu()
                total[-1] += len(images)
        total = self.trainer.strategy.reduce(total.float().to(self.device), reduce_op="sum")
        return total[:-1] / total[-1]

    def autoencoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        """1/n ||x - AE(x)||^2 of unlabelled images."""
        images = batch.unlabelled
        return {"a_residual": mean_squared_difference(images, self.autoencoder(images)).mean()}

    def encoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        """The hypersphere. Both kinds pass BatchNorm together: apart, each would be told by statistics of its own."""
        distances = squared_distance(self.encoder(batch.images), self.center)
        known = distances[batch.labels == 1]
        weight = self._share_of_known(batch) if self.known_share is None else self.known_share
        return hypersphere_terms(distances[batch.labels == 0], known, weight, self.eta, self.epsilon)

    def _share_of_known(self, batch: Batch) -> float:
        """m/(n+m) of the training set; of this batch where there is no data module."""
        if self._data is None:
            return float((batch.labels == 1).float().mean())
        n, m = len(self._data.splits.train), len(self._data.splits.train_known)
        return m / (n + m)

    @torch.no_grad()
    def inspect(self, images: Tensor) -> Inspection:
        drawn = self.decoder((self.pretrained if self.begun else self.encoder)(images))
        return Inspection(
            terms={
                "distance": squared_distance(self.encoder(images), self.center),
                "residual": mean_squared_difference(images, drawn),
            },
            anomaly_map=anomaly_map(images, drawn),
            reconstruction=drawn,
        )
