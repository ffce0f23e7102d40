"""Proximal operators of low-rank decompositions. Points are rows, and columns in the papers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semigan_pl.baselines.base import Points

HALVINGS = 100  # of the interval that a residual lies in: beyond the precision of float64


class Shrunk(NamedTuple):
    """A matrix (N, r) after singular value thresholding."""

    matrix: Points  # (N, r)
    axes: Points  # (r, k): right singular vectors; k is its rank, exactly
    singular_values: Points  # (k,), above 0


def shrink_rows(rows: Points, threshold: float) -> Points:
    """Every row of (N, r) shortened by the threshold, or zero: the proximal operator of the sum of row norms."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.maximum(1 - threshold / np.where(norms > 0, norms, np.inf), 0)


def shrink_singular_values(matrix: Points, threshold: float) -> Shrunk:
    """Every singular value of (N, r) lessened by the threshold, or zero: the proximal operator of the nuclear norm."""
    if np.linalg.norm(matrix) <= threshold:  # no singular value is larger than the Frobenius norm
        return Shrunk(np.zeros_like(matrix), np.empty((matrix.shape[1], 0)), np.empty(0))
    # R of a QR decomposition has the same right vectors: the left ones, N numbers each, are not needed.
    _, values, axes = np.linalg.svd(np.linalg.qr(matrix, mode="r"), full_matrices=False)
    kept = values > threshold
    axes, left = axes[kept].T, values[kept] - threshold
    return Shrunk((matrix @ axes) @ (axes * (left / values[kept])).T, axes, left)


def regularised_residuals(points: Points, axes: Points, strengths: Points) -> Points:
    """||x - A t|| for the t that minimises ||t||^2 / 2 + lambda ||x - A t||, of every point x (N, D), (N,).

    It is the root e of |x_perp|^2 / e^2 + sum_i (p_i^T x)^2 / (e + s_i)^2 = 1, or 0 where there is none; found by
    bisection, between 0 and ||x||.

    Args:
        axes: p_i, the left singular vectors of A, (D, k).
        strengths: s_i, lambda times the squares of its singular values, (k,).
    """
    along = points @ axes
    across = np.linalg.norm(points - along @ axes.T, axis=1) ** 2
    low, high = np.zeros(len(points)), np.linalg.norm(points, axis=1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = across / middle**2 + ((along / (middle[:, None] + strengths)) ** 2).sum(1)
        low, high = np.where(excess > 1, middle, low), np.where(excess > 1, high, middle)
    return high
