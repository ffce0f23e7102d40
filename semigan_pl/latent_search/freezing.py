"""Networks that stand still while something else is sought."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Networks in eval mode, without gradients to their weights, their parametrizations computed once.

    Outside of inference mode, in which Lightning tests: what is computed there can never enter autograd again.
    """
    modules = [(module, module.training) for network in networks for module in network.modules()]
    parameters = [(p, p.requires_grad) for network in networks for p in network.parameters()]
    for network in networks:
        network.eval().requires_grad_(False)
    try:
        with torch.inference_mode(False), parametrize.cached():
            yield
    finally:
        for module, training in modules:
            module.training = training
        for parameter, requires_grad in parameters:
            parameter.requires_grad_(requires_grad)


def settled(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights are plain numbers: spectral norms and the like are worked out for good."""
    still = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(still.modules()):
        if parametrize.is_parametrized(module):
            values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}  # type: ignore[union-attr]
            # not by torch's own removal: it takes the property from the class, which copy and original share
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module._modules["parametrizations"]
            for name, value in values.items():
                module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return still


def folded(network: nn.Module) -> nn.Module:
    """A settled copy in which every BatchNorm that follows a convolution in a Sequential has become part of it.

    Same images to the last bits, in less time: BatchNorm in eval mode only scales and shifts.
    """
    quick = settled(network)
    for chain in [module for module in quick.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, norm) in enumerate(pairwise(list(chain))):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                chain[place] = fuse_conv_bn_eval(layer, norm, transpose=transposed).requires_grad_(False)
                chain[place + 1] = nn.Identity()
    return quick


def weights_version(*networks: nn.Module) -> tuple[tuple[int, int], ...]:
    """Changes whenever a weight or a running statistic of the networks does, or moves to another device."""
    return tuple(
        (value.data_ptr(), value._version)
        for network in networks
        for value in (*network.parameters(), *network.buffers())
    )
