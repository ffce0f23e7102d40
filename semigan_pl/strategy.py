"""Several processes without a wrapper: after a player's backward pass its gradients, and nothing else, are averaged.

DistributedDataParallel holds all parameters of a module to be one model that every backward pass goes through. A GAN
moves one player at a time and growing uses few of its layers: the wrapper would search every graph for what is missing,
and reduce zeros for the player that rests and for layers that are not at work yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn


class PlayerwiseDDP(DDPStrategy):
    """Lightning's strategy for distributed training, under which a method says when which network is averaged."""

    def configure_ddp(self) -> None:
        """In the place of the wrapper: every process starts with the weights and statistics of the first one."""
        assert self.model is not None
        _as_one([*self.model.parameters(), *self.model.buffers()], lambda flat: torch.distributed.broadcast(flat, 0))

    def average_gradients(self, network: nn.Module) -> None:
        """Averages over the processes, by one all-reduce per kind of number. To be called on all of them.

        Where each process has an equal share of a batch and its loss is a mean, the mean of the gradients is the
        gradient of the whole batch's loss. Which parameters have a gradient must be the same everywhere, as it is
        where the stage of growing is a function of the images seen.

        With them go the running statistics of *all* networks in training mode, since the player that rests looks at
        batches too: every process holds the same numbers after every step, and the checkpoint of one is the checkpoint
        of all. (Those in eval mode have not moved, and a third of three equal numbers is not quite one.) They become
        the mean of the processes' statistics (a variance leaves out how far apart the processes' means are). Counters
        are equal anyway.

        Args:
            network: the player that is about to step, after its backward pass; gradients that are None stay None.
        """
        if (n := torch.distributed.get_world_size()) == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        everything = network if self.model is None else self.model
        moving = (module for module in everything.modules() if module.training)
        buffers = (buffer for module in moving for buffer in module.buffers(recurse=False))
        statistics = [buffer for buffer in buffers if buffer.is_floating_point()]

        def average(flat: Tensor) -> None:
            torch.distributed.all_reduce(flat)
            flat /= n  # not by the all-reduce: gloo has no mean

        _as_one([*gradients, *statistics], average)


@torch.no_grad()
def _as_one(tensors: Iterable[Tensor], change: Callable[[Tensor], object]) -> None:
    """Changes tensors in place, as one flat tensor per kind of number, whatever their layout in memory."""
    kinds = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.dtype].append(tensor)
    for alike in kinds.values():
        flat = torch.cat([tensor.flatten() for tensor in alike])
        change(flat)
        for tensor, part in zip(alike, flat.split([tensor.numel() for tensor in alike]), strict=True):
            tensor.copy_(part.view_as(tensor))
