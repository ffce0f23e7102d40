"""Proximal operators: in closed form, and against the problems that they solve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from semigan_pl.baselines.shrinkage import regularised_residuals, shrink_rows, shrink_singular_values


def test_rows_by_hand() -> None:
    rows = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(shrink_rows(rows, 1.0), [[2.4, 3.2], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
@pytest.mark.parametrize("threshold", [0.0, 3.0, 1e3])
def test_singular_values(shape: tuple[int, int], threshold: float) -> None:
    matrix = np.random.default_rng(0).standard_normal(shape)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    left = np.maximum(s - threshold, 0)
    found = shrink_singular_values(matrix, threshold)
    np.testing.assert_allclose(found.matrix, (u * left) @ vt, atol=1e-12)
    np.testing.assert_allclose(found.singular_values, left[left > 0])
    np.testing.assert_allclose(found.axes @ found.axes.T, vt[left > 0].T @ vt[left > 0], atol=1e-12)


def test_residuals_solve_their_problem() -> None:
    generator = np.random.default_rng(0)
    points, explained, lambda_ = generator.standard_normal((6, 5)), generator.standard_normal((5, 3)), 0.4
    axes, values, _ = np.linalg.svd(explained, full_matrices=False)
    found = regularised_residuals(points, axes, lambda_ * values**2)
    for point, residual in zip(points, found, strict=True):
        best = minimize(
            lambda t, x=point: t @ t / 2 + lambda_ * np.linalg.norm(x - explained @ t), np.zeros(3), tol=1e-12
        )
        assert residual == pytest.approx(np.linalg.norm(point - explained @ best.x), abs=1e-5)


def test_residuals_where_they_are_known() -> None:
    axes = np.eye(3)[:, :1]
    points = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    found = regularised_residuals(points, axes, np.array([0.3]))  # along the axis: its length less 0.3, if there is any
    np.testing.assert_allclose(found, [0.7, 1, 0, 0], atol=1e-12)
    lengths = regularised_residuals(points, np.empty((3, 0)), np.empty(0))
    np.testing.assert_allclose(lengths, [1, 1, 0, 0.1], atol=1e-12)
