"""How latents follow their gradients: many searches side by side, each for itself.

The state of a search is a row of tensors, one row per search; all arithmetic is element-wise or along a row, so that
what happens in a row does not depend on the others. A search may begin while others are under way.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from semigan_pl.checks import number, share, shown, whole

Rows = dict[str, Tensor]  # name -> (W, ...)


class Descent(ABC):
    """A way to step.

    Args:
        learning_rates: from each share of the steps on; {0: 0.01, 0.4: 0.001} falls at 40 %.
    """

    def __init__(self, learning_rates: Mapping[float, float]) -> None:
        option = "search.descent.learning_rates"
        if not isinstance(learning_rates, Mapping) or 0 not in learning_rates:
            raise ValueError(
                f"{option}={shown(learning_rates)} must say from which share of the steps on which learning rate holds,"
                " from 0 on: {0: 0.05, 0.5: 0.02}"
            )
        for start, rate in learning_rates.items():
            share(f"{option}: share of the steps", start)
            number(f"{option}.{start}", rate, above=0)
        self.learning_rates = dict(learning_rates)

    def learning_rate(self, step: int, steps: int) -> float:
        """The learning rate at a step of so many, counted from 0."""
        return self.learning_rates[max(start for start in self.learning_rates if round(start * steps) <= step)]

    @abstractmethod
    def begin(self, z: Tensor) -> Rows:
        """The state of searches that begin at z (W, latent_dim)."""

    @abstractmethod
    def step(self, rows: Rows, z: Tensor, loss: Tensor, gradient: Tensor, taken: Tensor, rate: Tensor) -> Tensor:
        """Where each search looks next, (W, latent_dim); updates its state.

        Args:
            rows: of `begin`.
            z: where the searches are, (W, latent_dim).
            loss, gradient: there, (W,) and (W, latent_dim).
            taken: steps before this one, (W,).
            rate: learning rates, (W,).
        """


class GradientDescent(Descent):
    """z <- z - rate * gradient. The loss is a sum over pixels: rates are small."""

    def begin(self, z: Tensor) -> Rows:
        return {}

    def step(self, rows: Rows, z: Tensor, loss: Tensor, gradient: Tensor, taken: Tensor, rate: Tensor) -> Tensor:
        return z - rate[:, None] * gradient


class Adam(Descent):
    """Adam (Kingma & Ba 2015), as torch.optim.Adam computes it.

    Args:
        betas, eps: of the paper.
        learning_rates: see Descent.
    """

    def __init__(self, betas: Sequence[float], eps: float, learning_rates: Mapping[float, float]) -> None:
        super().__init__(learning_rates)
        self.betas = tuple(share("search.descent.betas", beta) for beta in betas)
        self.eps = number("search.descent.eps", eps, above=0)

    def begin(self, z: Tensor) -> Rows:
        return {"mean": torch.zeros_like(z), "square": torch.zeros_like(z)}

    def step(self, rows: Rows, z: Tensor, loss: Tensor, gradient: Tensor, taken: Tensor, rate: Tensor) -> Tensor:
        first, second = self.betas
        rows["mean"] = rows["mean"].lerp(gradient, 1 - first)
        rows["square"] = rows["square"] * second + gradient * gradient * (1 - second)
        size = (rate / _one_minus_power(first, taken + 1))[:, None]
        scale = _one_minus_power(second, taken + 1).sqrt()[:, None]
        return z - size * rows["mean"] / (rows["square"].sqrt() / scale + self.eps)


class LBFGS(Descent):
    """Quasi-Newton steps with limited memory (Nocedal 1980), each search with its own history and its own line search.

    One evaluation per step: a step that does not lower the loss enough (Armijo) is taken back, and a shorter one tried.

    Args:
        history: pairs of steps and changes of the gradient that are remembered.
        decrease: share of the fall that the gradient promises and a step has to deliver.
        learning_rates: lengths of a first try; of the very first step, from which nothing is known, in units of z.
    """

    def __init__(self, history: int, decrease: float, learning_rates: Mapping[float, float]) -> None:
        super().__init__(learning_rates)
        self.history = whole("search.descent.history", history, least=1)
        self.decrease = share("search.descent.decrease", decrease, above_zero=True)

    def begin(self, z: Tensor) -> Rows:
        n, d = z.shape
        pairs = torch.zeros(n, self.history, d, device=z.device)
        return {
            "at": z.clone(),  # the last point that was accepted
            "loss": torch.full((n,), torch.inf, device=z.device),
            "gradient": torch.zeros_like(z),
            "direction": torch.zeros_like(z),
            "length": torch.ones(n, device=z.device),
            "steps": pairs,
            "changes": pairs.clone(),
            "inverse": torch.zeros(n, self.history, device=z.device),  # 1 / (step . change), 0: nothing remembered
        }

    def step(self, rows: Rows, z: Tensor, loss: Tensor, gradient: Tensor, taken: Tensor, rate: Tensor) -> Tensor:
        slope, length = _dot(rows["gradient"], rows["direction"]), rows["length"]
        accepted = (taken == 0) | (loss <= rows["loss"] + self.decrease * length * slope)
        shorter = _shortened(length, slope, loss - rows["loss"])
        self._remember(rows, accepted & (taken > 0), z - rows["at"], gradient - rows["gradient"])
        for name, value in (("at", z), ("gradient", gradient)):
            rows[name] = torch.where(accepted[:, None], value, rows[name])
        rows["loss"] = torch.where(accepted, loss, rows["loss"])
        direction = -self._times_inverse_hessian(rows, gradient)
        uphill = _dot(direction, gradient) >= 0
        direction = torch.where(uphill[:, None], -gradient, direction)
        unscaled = uphill | (rows["inverse"] == 0).all(1)  # nothing known of the curvature: a short step
        first = rate / gradient.norm(dim=1).clamp(min=1e-12)
        rows["direction"] = torch.where(accepted[:, None], direction, rows["direction"])
        rows["length"] = torch.where(accepted, torch.where(unscaled, first, rate), shorter)
        return rows["at"] + rows["length"][:, None] * rows["direction"]

    def _remember(self, rows: Rows, moved: Tensor, step: Tensor, change: Tensor) -> None:
        """Adds a pair to the histories of searches that moved, where the loss is curved upwards."""
        curvature = _dot(step, change)
        good = moved & (curvature > 1e-10 * _dot(change, change))
        inverse = 1 / torch.where(good, curvature, torch.ones_like(curvature))
        for name, latest in (("steps", step), ("changes", change), ("inverse", inverse)):
            longer = torch.cat([rows[name][:, 1:], latest[:, None]], 1)
            rows[name] = torch.where(good.view(-1, *[1] * (longer.ndim - 1)), longer, rows[name])

    def _times_inverse_hessian(self, rows: Rows, gradient: Tensor) -> Tensor:
        """The two loops of Nocedal's recursion, for all rows at once. Pairs that are not there yet count nothing."""
        steps, changes, inverse = rows["steps"], rows["changes"], rows["inverse"]
        q, weights = gradient, list[Tensor]()
        for i in reversed(range(self.history)):
            weights.append(inverse[:, i] * _dot(steps[:, i], q))
            q = q - weights[-1][:, None] * changes[:, i]
        latest = changes[:, -1]
        known = inverse[:, -1] > 0
        scale = 1 / torch.where(known, inverse[:, -1] * _dot(latest, latest), torch.ones_like(inverse[:, -1]))
        q = q * scale[:, None]
        for i, weight in zip(range(self.history), reversed(weights), strict=True):
            q = q + (weight - inverse[:, i] * _dot(changes[:, i], q))[:, None] * steps[:, i]
        return q


def _shortened(length: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """Where the parabola through a start of this slope and a point that lies so much higher is lowest.

    Not less than a tenth of the length, nor more than half of it (Nocedal & Wright 2006, section 3.5).
    """
    lowest = -slope * length.square() / (2 * (rise - slope * length)).clamp(min=1e-12)
    return torch.minimum(torch.maximum(lowest, 0.1 * length), 0.5 * length)


def _one_minus_power(base: float, exponent: Tensor) -> Tensor:
    """1 - base^exponent without the cancellation that float32 would suffer near 1."""
    return -torch.expm1(exponent * (math.log(base) if base else -math.inf))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)
