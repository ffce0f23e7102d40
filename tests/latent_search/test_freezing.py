"""Copies of networks that stand still, and quicker ones without BatchNorm."""

from __future__ import annotations

import copy

import torch
from torch import nn

from semigan_pl.latent_search.freezing import folded

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Tanh())
    made = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4), inner)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                for value in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert value is not None
                    value.uniform_(0.3, 2)
    return made


def test_folding_changes_nothing_but_the_layers() -> None:
    slow = network()
    before = copy.deepcopy(slow.state_dict())
    quick = folded(slow)
    torch.testing.assert_close(quick(IMAGES), slow.eval()(IMAGES), atol=1e-6, rtol=1e-5)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in quick.modules()) == 1  # the one after a ReLU stays
    assert not any(parameter.requires_grad for parameter in quick.parameters())
    assert all(torch.equal(value, slow.state_dict()[name]) for name, value in before.items())
