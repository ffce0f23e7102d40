"""Progressive networks while they grow: what works at a stage, and that nothing jumps."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semigan_pl.growth import Stage, double, halve, set_stage
from tests.methods.test_contract import IMAGES
from tests.networks.test_progressive import discriminator, generator, noise


@pytest.mark.parametrize("network", [generator(16), discriminator(16)])
def test_a_stage_beyond_full_size_is_refused_and_changes_nothing(network: Any) -> None:
    with pytest.raises(ValueError, match=r"16 px \(data\.image_size\).*32 px"):
        network.stage = Stage(32)
    assert network.stage == Stage(16)


def test_images_of_another_stage_are_refused() -> None:
    d = discriminator()
    d.stage = Stage(8)
    with pytest.raises(ValueError, match=r"stands at 8 px.*\(16, 16\) px.*resize_to"):
        d(IMAGES[:2])


STAGES = [Stage(4), *(Stage(resolution, alpha) for resolution in (8, 16, 32) for alpha in (0.0, 0.3, 1.0))]


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_gradients_flow_at_every_stage_through_what_is_at_work(stage: Stage) -> None:
    g, d = generator(32), discriminator(32)
    both = nn.ModuleList([g, d])
    set_stage(both, stage)
    z = torch.randn(4, 6, generator=noise())
    images = g(z)
    assert images.shape == (4, 1, stage.resolution, stage.resolution)
    points = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(d(points).sum(), points, create_graph=True)
    ((gradient.flatten(1).norm(dim=1) - 1).square().mean() + d(images).mean()).backward()
    top = int(math.log2(stage.resolution)) - 2
    for name, parameter in both.named_parameters():
        _, kind, rest, *_ = [*name.split("."), ""]
        if kind in ("to_rgb", "from_rgb"):
            at_work = int(rest) == top or (int(rest) == top - 1 and stage.alpha < 1)
            newest = int(rest) == top
        elif kind in ("grow", "shrink"):
            at_work, newest = int(rest) < top, int(rest) == top - 1
        else:
            at_work, newest = True, False
        moves = parameter.grad is not None and bool(parameter.grad.any())
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        silent = (newest and stage.alpha == 0) or not at_work
        assert moves != silent, name


@pytest.mark.parametrize("resolution", [8, 16])
def test_nothing_jumps_where_a_fade_starts(resolution: int) -> None:
    g, d = generator(), discriminator().eval()
    z = torch.randn(4, 6, generator=noise())
    both = nn.ModuleList([g, d])
    with torch.no_grad():
        set_stage(both, Stage(resolution // 2))
        small = g(z)
        small_logits = d(small)
        set_stage(both, Stage(resolution, 0.0))
        images = g(z)
        assert torch.equal(images, double(small))
        assert torch.equal(halve(images), small)
        assert torch.equal(d(images), small_logits)
        finer = images + torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(resolution // 2, resolution // 2) / 8
        torch.testing.assert_close(d(finer), small_logits)  # detail that only the new layers could see


@pytest.mark.parametrize("resolution", [8, 16])
def test_the_new_layers_have_no_influence_at_alpha_zero(resolution: int) -> None:
    g, d = generator(), discriminator().eval()
    set_stage(nn.ModuleList([g, d]), Stage(resolution, 0.0))
    z = torch.randn(4, 6, generator=noise())
    top = int(math.log2(resolution)) - 2
    with torch.no_grad():
        before, verdict = g(z), d(g(z))
        for part in (g.grow[top - 1], g.to_rgb[top], d.shrink[top - 1], d.from_rgb[top]):
            for parameter in part.parameters():
                parameter.add_(100)
        assert torch.equal(g(z), before)
        assert torch.equal(d(before), verdict)


def test_a_fade_is_linear_and_alpha_is_the_weight_of_the_new() -> None:
    g, z = generator(), torch.randn(4, 6, generator=noise())

    def image(alpha: float) -> Tensor:
        g.stage = Stage(16, alpha)
        return g(z).detach()

    torch.testing.assert_close(image(0.25), 0.25 * image(1.0) + 0.75 * image(0.0))
    torch.testing.assert_close(image(0.9999), image(1.0), atol=1e-3, rtol=0)
    d, images = discriminator().eval(), halve(IMAGES[:4])
    with torch.no_grad():
        d.stage = Stage(8, 0.25)
        old, new = d.from_rgb[0](halve(images)), d.shrink[0](d.from_rgb[1](images))
        torch.testing.assert_close(d.features(images), (0.75 * old + 0.25 * new).flatten(1))


def test_a_stage_is_no_part_of_the_state_and_is_copied() -> None:
    g = generator()
    g.stage = Stage(8, 0.5)
    twin = copy.deepcopy(g)
    assert twin.stage == Stage(8, 0.5)
    twin.stage = Stage(4)
    z = torch.randn(2, 6, generator=noise())
    assert g(z).shape == (2, 1, 8, 8)
    full = generator()
    assert {name.split(".")[0] for name in g.state_dict()} == {"bias", "project", "start", "grow", "to_rgb"}
    full.load_state_dict(g.state_dict())
    assert full.stage == Stage(16)
    full.stage = g.stage
    assert torch.equal(full(z), g(z))
