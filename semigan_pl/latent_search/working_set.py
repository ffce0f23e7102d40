"""How many searches fit into memory at once."""

from __future__ import annotations

import os
from typing import NamedTuple

import psutil
import torch
from torch import Tensor, nn

from semigan_pl.latent_search.freezing import frozen

AUTO = "auto"
QUICK = {"cpu": 64, "cuda": 1024}  # searches at once beyond which more of them are no quicker (CPU: measured)
SHARE = 0.5  # of the free memory that is used
MULTIPLE = 16  # measured on CPUs: batches of other sizes (8 for DCGANs) differ from each other in the last bits
GRADIENTS = 1.25  # what a step takes at most, as a multiple of the activations it saves (measured: 1.03 to 1.2)


class WorkingSet(NamedTuple):
    """Searches that are under way at once."""

    rows: int  # at most
    multiple: int  # batches are filled up to a multiple of it

    def halved(self) -> WorkingSet:
        """For memory that turned out to be too small."""
        return WorkingSet(self.rows // 2, min(self.multiple, self.rows // 2))


def fitting_set(
    generator: nn.Module,
    discriminator: nn.Module,
    shape: tuple[int, ...],
    wanted: int | str,
    useful: int | None = None,
) -> WorkingSet:
    """What is wanted, or with `auto` what is quick, but no more than fits into half the free memory.

    Nor more than is `useful`: searches that there will be at once; None: not known.
    """
    device = next(generator.parameters()).device
    most = QUICK.get(device.type, QUICK["cuda"]) if wanted == AUTO else int(wanted)
    most = most if useful is None else min(most, useful)
    fits = int(SHARE * free_memory(device) / (GRADIENTS * bytes_per_search(generator, discriminator, shape)))
    if fits >= MULTIPLE:
        return WorkingSet(min(most, fits // MULTIPLE * MULTIPLE), MULTIPLE)
    rows = 1 << max(0, fits.bit_length() - 1)
    return WorkingSet(rows, rows)


def bytes_per_search(generator: nn.Module, discriminator: nn.Module, shape: tuple[int, ...]) -> int:
    """What one search keeps for its backward pass, measured on a single one."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    z = generator.sample_latents(1, torch.Generator().manual_seed(0))  # type: ignore[operator]
    weights = {p.untyped_storage().data_ptr() for network in (generator, discriminator) for p in network.parameters()}
    with frozen(generator, discriminator), torch.enable_grad():
        z = z.to(next(generator.parameters()).device).requires_grad_(True)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
            made = generator.forward(z)  # not by a compiled call: it would be translated anew for a single image
            features = discriminator.features(made)  # type: ignore[operator]
    del features
    image = 4 * int(torch.Size(shape).numel())
    return 8 * image + sum(size for place, size in saved.items() if place not in weights)


def free_memory(device: torch.device) -> int:
    """Bytes this process may still take: of its GPU, or its share of the machine's; a container's limit is not seen."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    sharers = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return int(psutil.virtual_memory().available) // sharers


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; on a CPU torch has no class of its own for that."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
