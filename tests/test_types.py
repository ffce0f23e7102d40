"""The words that everybody shares: batches told apart, inspections joined and cut."""

from __future__ import annotations

import pytest
import torch

from semigan_pl.types import Batch, Inspection, cut, join


def inspection(n: int, seed: int = 0, maps: bool = True, reconstructs: bool = True) -> Inspection:
    noise = torch.Generator().manual_seed(seed)
    return Inspection(
        {"residual": torch.randn(n, generator=noise), "critic": torch.randn(n, generator=noise)},
        torch.rand(n, 1, 4, 4, generator=noise) if maps else None,
        torch.rand(n, 3, 4, 4, generator=noise) if reconstructs else None,
    )


def same(a: Inspection, b: Inspection) -> bool:
    pairs = [(a.anomaly_map, b.anomaly_map), (a.reconstruction, b.reconstruction)]
    pairs += [(a.terms[name], b.terms[name]) for name in a.terms]
    return list(a.terms) == list(b.terms) and all(
        x is y is None or (x is not None and y is not None and torch.equal(x, y)) for x, y in pairs
    )


def test_a_batch_tells_unlabelled_images_from_known_anomalies() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1)
    batch = Batch(images, torch.tensor([0, 1, 0, 1]), torch.arange(4))
    assert batch.unlabelled.flatten().tolist() == [0, 2]
    assert batch.known_anomalies.flatten().tolist() == [1, 3]


def test_a_batch_may_have_no_known_anomalies() -> None:
    batch = Batch(torch.zeros(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    assert batch.known_anomalies.shape == (0, 1, 4, 4)
    assert batch.unlabelled.shape == (3, 1, 4, 4)


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize("reconstructs", [True, False])
def test_joining_reverses_cutting(maps: bool, reconstructs: bool) -> None:
    whole = inspection(7, 0, maps, reconstructs)
    first = cut(whole, 3)
    rest = Inspection(
        {name: values[3:] for name, values in whole.terms.items()},
        None if whole.anomaly_map is None else whole.anomaly_map[3:],
        None if whole.reconstruction is None else whole.reconstruction[3:],
    )
    assert first.terms["critic"].shape == (3,)
    assert same(join([first, rest]), whole)
    assert same(join([whole]), whole)
    assert same(cut(whole, 7), whole)


def test_parts_are_joined_in_order() -> None:
    a, b = inspection(2, 1), inspection(3, 2)
    assert same(cut(join([a, b]), 2), a)
    assert not same(cut(join([b, a]), 2), a)
    assert join([a, b]).terms["residual"].shape == (5,)


def test_methods_that_only_score() -> None:
    joined = join([Inspection({"critic": torch.ones(2)}), Inspection({"critic": torch.zeros(1)})])
    assert joined.terms["critic"].tolist() == [1.0, 1.0, 0.0]
    assert joined.anomaly_map is None
    assert joined.reconstruction is None
