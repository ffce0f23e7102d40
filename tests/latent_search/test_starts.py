"""Where searches begin, in which networks, and how many of them at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from semigan_pl.latent_search import frozen, working_set
from semigan_pl.latent_search.freezing import settled, weights_version
from semigan_pl.latent_search.working_set import WorkingSet, bytes_per_search, fitting_set, is_out_of_memory
from tests.conftest import build_model
from tests.latent_search.linear import LinearGenerator, Pixels, search, settings

IMAGES = torch.randn(6, 1, 1, 12, generator=torch.Generator().manual_seed(2))


def test_the_best_samples_are_those_with_the_lowest_loss() -> None:
    generator = LinearGenerator(12, 3)
    starts = settings(0, starts=40, restarts=2, lambda_=0.3).prepare(generator, Pixels(), (1, 1, 12)).starts
    found = starts(IMAGES, IMAGES.flatten(1))
    with torch.no_grad():
        losses = (IMAGES.flatten(1)[:, None] - generator(starts.z).flatten(1)).abs().sum(2)  # lambda mixes equal terms
    for row, best in enumerate(losses.argsort(1)[:, :2].tolist()):
        assert torch.equal(found[row], starts.z[best])


def test_the_nearest_samples_are_nearest_in_their_features() -> None:
    generator = LinearGenerator(12, 3)
    starts = settings(0, starts=40, start="nearest").prepare(generator, Pixels(), (1, 1, 12)).starts
    with torch.no_grad():
        squares = (IMAGES.flatten(1)[:, None] - generator(starts.z).flatten(1)).square().sum(2)
    assert torch.equal(starts(IMAGES, IMAGES.flatten(1))[:, 0], starts.z[squares.argmin(1)])


def test_more_samples_never_start_worse() -> None:
    losses = [search(LinearGenerator(12, 3), IMAGES, 0, starts=n).residual for n in (16, 128, 512)]
    assert (losses[1] <= losses[0]).all()
    assert (losses[2] <= losses[1]).all()
    assert losses[2].sum() < losses[0].sum()


class Inverse(nn.Module):
    """The encoder of a linear generator."""

    def __init__(self, generator: LinearGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.generator.basis


def test_an_encoders_guess_is_where_the_search_begins() -> None:
    generator = LinearGenerator(12, 3)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))
    found = search(generator, generator(z).detach(), 0, encoder=Inverse(generator), start="encoder")
    torch.testing.assert_close(found.z, z, atol=1e-5, rtol=0)
    more = search(
        generator, generator(z).detach(), 0, encoder=Inverse(generator), start="encoder", restarts=3, starts=8
    )
    torch.testing.assert_close(more.z, z, atol=1e-5, rtol=0)


def test_without_an_encoder_there_is_no_guess() -> None:
    with pytest.raises(
        ValueError, match=r"search\.start=encoder needs an encoder, and this model has none: add encoding="
    ):
        settings(0, start="encoder").prepare(LinearGenerator(12, 3), Pixels(), (1, 1, 12))


def test_a_model_without_an_encoder_says_so_before_it_trains() -> None:
    with pytest.raises(InstantiationException, match="needs an encoder, and this model has none"):
        build_model("anogan", "search=encoder")
    build_model("anogan", "search=encoder", "encoding=izi_f")


def test_large_images_are_compared_by_their_thumbnails() -> None:
    model: Any = build_model("anogan", "data.image_size=64")
    prepared = settings(0, starts=5).prepare(model.generator, model.discriminator, (1, 64, 64))
    assert prepared.starts.images.shape == (5, 32 * 32)
    with torch.no_grad(), frozen(model):
        own = prepared.objective.exact[0](prepared.starts.z)
        found = prepared.starts(own, prepared.objective.features(own))
    assert torch.equal(found[:, 0], prepared.starts.z)


def test_a_settled_copy_computes_the_same_and_leaves_the_original_alone() -> None:
    network = nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4), spectral_norm(nn.Linear(4, 2)))
    inputs = torch.randn(8, 4)
    network(inputs)
    copy = settled(network)
    names = [name for name, _ in network.named_parameters()]
    assert torch.equal(copy(inputs), network.eval()(inputs))
    assert [name for name, _ in network.named_parameters()] == names
    assert not any(p.requires_grad for p in copy.parameters())
    network.train()(inputs)
    network(inputs).sum().backward()
    assert network[0].parametrizations.weight.original.grad is not None  # type: ignore[union-attr]


def test_the_version_of_weights_changes_with_them() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    versions = [weights_version(network)]
    network(torch.randn(4, 2))  # a running statistic moves
    versions.append(weights_version(network))
    with torch.no_grad():
        network[0].weight.add_(1.0)  # type: ignore[operator]
    versions.append(weights_version(network))
    assert versions[2] == weights_version(network)
    assert len(set(versions)) == 3


def test_a_prepared_search_lasts_as_long_as_the_weights() -> None:
    model: Any = build_model("anogan")
    images = torch.rand(4, 1, 16, 16) * 2 - 1
    before = model.predict(images).score
    prepared = model.prepared((1, 16, 16))
    assert torch.equal(model.predict(images).score, before)
    assert model.prepared((1, 16, 16)) is prepared
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.mul_(1.5)
    assert not torch.equal(model.predict(images).score, before)


def test_networks_are_frozen_only_for_the_while() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    network[0].weight.requires_grad_(False)  # type: ignore[operator]
    with frozen(network):
        assert not any(p.requires_grad for p in network.parameters())
        assert not any(module.training for module in network.modules())
    assert all(module.training for module in network.modules())
    assert [p.requires_grad for p in network.parameters()] == [False, True, True, True]


def test_what_a_search_keeps_is_measured() -> None:
    """A linear generator keeps nothing of its activations; a DCGAN of twice the width about twice as much."""
    model: Any = build_model("anogan")
    wider: Any = build_model("anogan", "network_sizes.small.width=16")
    narrow, wide = (bytes_per_search(m.generator, m.discriminator, (1, 16, 16)) for m in (model, wider))
    assert 1.5 < wide / narrow < 2.5


@pytest.mark.parametrize(
    ("free", "wanted", "expected"),
    [
        (10**12, "auto", WorkingSet(64, 16)),
        (10**12, 1000, WorkingSet(1000, 16)),
        (10**12, 1, WorkingSet(1, 16)),
        (250 * 50, "auto", WorkingSet(48, 16)),
        (250 * 50, 20, WorkingSet(20, 16)),
        (250 * 9, "auto", WorkingSet(8, 8)),
        (250 * 1, 64, WorkingSet(1, 1)),
        (0, "auto", WorkingSet(1, 1)),
    ],
)
def test_the_working_set_fits_into_half_of_the_free_memory(
    free: int, wanted: int | str, expected: WorkingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_set, "free_memory", lambda device: free)
    monkeypatch.setattr(working_set, "bytes_per_search", lambda *networks: 100)
    assert fitting_set(LinearGenerator(12, 3), Pixels(), (1, 1, 12), wanted) == expected


def test_a_working_set_is_no_larger_than_the_searches_there_are() -> None:
    networks = (LinearGenerator(12, 3), Pixels(), (1, 1, 12))
    assert fitting_set(*networks, "auto", useful=4) == WorkingSet(4, 16)
    assert settings(0, restarts=3, starts=3).prepare(*networks, at_once=10).objective.working_set.rows == 30


def test_free_memory_is_shared_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert working_set.free_memory(torch.device("cpu")) == 250


def test_failed_allocations_are_recognised() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
