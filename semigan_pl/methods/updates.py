"""From a player's loss terms to its next weights: micro-batches, loss scaling, processes, clipping.

(Lightning refuses accumulation and clipping under manual optimization, and has one loss scale for all optimizers.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, whole
from semigan_pl.types import Batch

ADVICE = (
    "start again with a lower learning rate, with model.updates.clip_d=1 model.updates.clip_g=1, or with"
    " trainer.precision=32-true; the last checkpoint in this folder is from before"
)


class Updates:
    """How the players step.

    Args:
        accumulate: micro-batches that a step's batch is divided into, one after the other in memory; their gradients
            add up to those of the whole batch: exactly, for networks without batch statistics and as many known
            anomalies as unlabelled images.
        clip_d, clip_g, clip_e, clip_a: largest Euclidean norm of the discriminator's, the generator's, the encoder's
            and the autoencoder's gradient; None: any.
        weight_limit: after its steps the discriminator's weights are clipped to [-limit, limit] (Arjovsky et al. 2017);
            None: they are not.
    """

    def __init__(
        self,
        accumulate: int,
        clip_d: float | None,
        clip_g: float | None,
        clip_e: float | None,
        clip_a: float | None,
        weight_limit: float | None,
    ) -> None:
        self.accumulate = whole("model.updates.accumulate", accumulate, least=1)
        self.clip = {"discriminator": clip_d, "generator": clip_g, "encoder": clip_e, "autoencoder": clip_a}
        self.weight_limit = None
        if weight_limit is not None:
            self.weight_limit = number("model.updates.weight_limit", weight_limit, above=0)
        for player, limit in self.clip.items():
            if limit is not None:
                number(f"model.updates.clip_{player[0]}", limit, above=0)
        self.scalers = {player: torch.amp.GradScaler("cpu", enabled=False) for player in self.clip}

    def scale_losses(self, device: str) -> None:
        """From now on losses are scaled, each player's by its own factor: float16 loses small gradients otherwise."""
        for player in self.scalers:
            self.scalers[player] = torch.amp.GradScaler(device)

    def micro_batches(self, batch: Batch) -> list[Batch]:
        """The batch in `accumulate` equal parts. Raises ValueError where that is not possible."""
        if self.accumulate == 1:
            return [batch]
        groups = [(batch.labels == label).nonzero().squeeze(1) for label in (0, 1)]
        for group, kind in zip(groups, ("unlabelled images", "known anomalies"), strict=True):
            if len(group) % self.accumulate:
                raise ValueError(
                    f"model.updates.accumulate={self.accumulate} does not divide the {len(group)} {kind} of a batch:"
                    " change one of the two"
                )
        parts = zip(*(group.tensor_split(self.accumulate) for group in groups), strict=True)
        rows = [torch.cat(part) for part in parts]
        return [Batch(batch.images[part], batch.labels[part], batch.indices[part]) for part in rows]

    def step(self, player: str, network: nn.Module, optimizer: Any, strategy: Any) -> Tensor:
        """Moves a player along its gradients; returns their norm, before clipping.

        Raises FloatingPointError if they are not finite (with scaled losses such a step is skipped instead).
        """
        if hasattr(strategy, "average_gradients"):
            strategy.average_gradients(network)
        scaler = self.scalers[player]
        scaler.unscale_(optimizer)
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        if not scaler.is_enabled() and not norm.isfinite():
            raise FloatingPointError(f"the {player}'s gradients are no longer finite: {ADVICE}")
        limit = self.clip[player]
        if limit is not None and norm > limit:
            torch._foreach_mul_(gradients, limit / norm)
        scaler.step(optimizer)
        scaler.update()
        if self.weight_limit is not None and player == "discriminator":
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.clamp_(-self.weight_limit, self.weight_limit)
        return norm

    def state(self) -> dict[str, dict[str, Any]]:
        """The scale of each player's loss; empty where losses are not scaled."""
        return {player: scaler.state_dict() for player, scaler in self.scalers.items()}

    def load(self, state: dict[str, dict[str, Any]]) -> None:
        """Takes up the scales of a checkpoint, where both it and this training scale."""
        for player, scaler in self.scalers.items():
            if scaler.is_enabled() and state.get(player):
                scaler.load_state_dict(state[player])
