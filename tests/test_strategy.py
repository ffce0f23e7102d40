"""Averages over two processes, against the arithmetic mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from semigan_pl.strategy import PlayerwiseDDP
from semigan_pl.tasks.processes import run_in_processes


class Player(nn.Module):
    """Several kinds of number, layouts and statistics; `idle` has no gradient, as a layer that has not grown yet."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        self.idle = nn.Linear(4, 4)
        self.norm = nn.BatchNorm2d(4)
        self.judge = spectral_norm(nn.Linear(4, 1))
        self.fine = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return self.judge(self.norm(self.look(images)).mean((2, 3))).sum() * self.fine.float()


def gradients(player: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in player.named_parameters() if p.grad is not None}


def statistics(player: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in player.named_buffers()}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes held, see `work`."""
    folder = tmp_path_factory.mktemp("two")
    run_in_processes(work, {"folder": str(folder)}, 2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def work(config: dict[str, Any]) -> None:
    """Starts with weights of its own, goes one step back from images of its own, and writes down what it holds when."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    torch.manual_seed(rank)
    player, strategy = Player(), PlayerwiseDDP()
    player(torch.randn(2, 3, 5, 5))
    strategy.model = player
    strategy.configure_ddp()
    assert strategy.model is player  # no wrapper
    result: dict[str, Any] = {"start": {name: value.clone() for name, value in player.state_dict().items()}}
    torch.manual_seed(rank + 10)
    player(torch.randn(2, 3, 5, 5).contiguous(memory_format=torch.channels_last)).backward()
    result["before"] = [gradients(player), statistics(player)]
    layout = player.look.weight.grad.stride()  # type: ignore[union-attr]
    strategy.average_gradients(player)
    assert player.look.weight.grad.stride() == layout  # type: ignore[union-attr]
    result["after"] = [gradients(player), statistics(player)]
    torch.save(result, Path(config["folder"]) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_every_process_starts_as_the_first(held: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    expected = Player()
    expected(torch.randn(2, 3, 5, 5))
    for name, value in expected.state_dict().items():
        assert torch.equal(held[0]["start"][name], value), name
        assert torch.equal(held[1]["start"][name], value), name


@pytest.mark.parametrize("kind", [0, 1], ids=["gradients", "statistics"])
def test_averages_are_arithmetic_means(kind: int, held: list[dict[str, Any]]) -> None:
    first, second = (of_rank["before"][kind] for of_rank in held)
    assert "idle.weight" not in first
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for of_rank in held:
        assert of_rank["after"][kind].keys() == first.keys()
        for name, value in of_rank["after"][kind].items():
            mean = (first[name] + second[name]) / 2 if value.is_floating_point() else first[name]
            assert torch.equal(value, mean), name
            assert value.dtype == mean.dtype


def test_who_stands_in_eval_mode_keeps_its_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of three equal numbers is not quite one of them: what has not moved must not be averaged."""
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flat: flat.mul_(3))
    torch.manual_seed(0)
    strategy, resting, moving = PlayerwiseDDP(), nn.BatchNorm2d(500), nn.BatchNorm2d(500)
    assert resting.running_mean is not None
    assert moving.running_mean is not None
    for network in (resting, moving):
        network.running_mean.copy_(torch.rand(500))  # type: ignore[union-attr]
        network.weight.grad = torch.ones(500)
    before = [resting.running_mean.clone(), moving.running_mean.clone()]
    strategy.model = nn.ModuleList([resting.eval(), moving])
    strategy.average_gradients(moving)
    assert torch.equal(resting.running_mean, before[0])
    torch.testing.assert_close(moving.running_mean, before[1])


def test_alone_nothing_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    torch.manual_seed(0)
    player = Player()
    player(torch.randn(2, 3, 5, 5)).backward()
    before = gradients(player)
    PlayerwiseDDP().average_gradients(player)  # would raise: there is no process group
    assert all(torch.equal(value, before[name]) for name, value in gradients(player).items())
