"""The space that points span, its dimension, and distances from subspaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semigan_pl.baselines.subspace import (
    check_dimension,
    chosen_dimension,
    column_space,
    complement,
    residuals,
)
from tests.baselines.synthetic import case, true_dimension

OPTION = "model.baseline.dimension"


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (12, 12)])
@pytest.mark.parametrize("rank", [1, 5, 12])
def test_the_column_space_loses_nothing(shape: tuple[int, int], rank: int) -> None:
    generator = np.random.default_rng(rank)
    points = generator.standard_normal((shape[0], rank)) @ generator.standard_normal((rank, shape[1]))
    space = column_space(points)
    assert space.basis.shape == (shape[1], rank)
    np.testing.assert_allclose(space.basis.T @ space.basis, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(space.coordinates @ space.basis.T, points, atol=1e-12)
    np.testing.assert_allclose(space.singular_values, np.linalg.svd(points)[1][:rank])
    np.testing.assert_allclose(space.coordinates.T @ space.coordinates, np.diag(space.singular_values**2), atol=1e-9)


def test_zeros_span_nothing() -> None:
    with pytest.raises(ValueError, match="all features are zero"):
        column_space(np.zeros((4, 3)))


def test_residuals_by_hand() -> None:
    points = np.array([[3.0, 4.0, 12.0], [0.0, 2.0, 0.0]])
    assert residuals(points, np.eye(3)[:, :1]).tolist() == [np.hypot(4, 12), 2]
    assert residuals(points, np.empty((3, 0))).tolist() == [13, 2]
    assert residuals(points, np.eye(3)[:, 1:] * np.sqrt(0.5)).tolist() == pytest.approx([7, 1])  # P of shares 0, .5, .5


@pytest.mark.parametrize("k", [0, 1, 4, 5])
def test_the_complement_is_orthogonal(k: int) -> None:
    directions = np.random.default_rng(0).standard_normal((5, k))
    rest = complement(directions)
    assert rest.shape == (5, 5 - k)
    np.testing.assert_allclose(rest.T @ rest, np.eye(5 - k), atol=1e-12)
    np.testing.assert_allclose(directions.T @ rest, 0, atol=1e-12)


def test_dimensions_by_hand() -> None:
    values = np.sqrt([5.0, 3.0, 1.0, 0.6, 0.4])
    assert [chosen_dimension(share, values) for share in (0.1, 0.49, 0.51, 0.79, 0.81, 0.95)] == [1, 1, 2, 2, 3, 4]
    assert chosen_dimension(None, values) == 2  # the mean is 2
    assert chosen_dimension(4, values) == 4
    assert chosen_dimension(None, np.ones(3)) == 1  # none is above the mean


@pytest.mark.parametrize(("dimension", "found"), [(3, 3), (7, 3), (0.99, 3)])
def test_nothing_left_over_is_told(dimension: float, found: int) -> None:
    with pytest.warns(UserWarning, match="space of 3 dimensions") as told:
        assert chosen_dimension(dimension, np.ones(3)) == found
    assert len(told) == 1


def test_one_subspace_has_the_dimension_that_the_rule_finds() -> None:
    found = [chosen_dimension(None, column_space(case("A", seed)[0]).singular_values) for seed in range(5)]
    assert found == [true_dimension("A")] * 5


@pytest.mark.parametrize(("name", "least"), [("B", 14), ("C", 14), ("D", 14), ("E", 11), ("hyperplane", 5)])
def test_the_rule_never_finds_too_many(name: str, least: int) -> None:
    """Where the eigenvalues of the inliers differ, or fill almost the whole space, some of them are below the mean."""
    for seed in range(5):
        found = chosen_dimension(None, column_space(case(name, seed)[0]).singular_values)
        assert least <= found <= true_dimension(name)


@pytest.mark.parametrize("dimension", [None, 1, 20, 0.5, 0.999])
def test_dimensions_as_typed(dimension: Any) -> None:
    assert check_dimension(OPTION, dimension) == dimension


@pytest.mark.parametrize("dimension", [0, -1, 1.5, True, "5", float("nan"), 0.0, 1.0])
def test_no_dimensions(dimension: Any) -> None:
    with pytest.raises(ValueError, match=r"model\.baseline\.dimension=.* must be a whole number, 1 or more"):
        check_dimension(OPTION, dimension)
