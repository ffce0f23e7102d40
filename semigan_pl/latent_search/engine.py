"""Latent search: the z whose G(z) comes closest to an image (Schlegl et al. 2017; Algorithm 1 of Kimura & Yanagihara).

    L(z) = (1 - lambda) L_R(z) + lambda L_D(z)       (see SearchLoss)

is minimised over z alone, generator and discriminator frozen. Many searches are under way at once, each in a row of its
own: an image whose loss no longer falls leaves, and the next one takes its place. Nothing that happens in a row depends
on the others, so that the score of an image does not depend on which images are searched beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from semigan_pl.checks import number, share, shown, whole, yes_or_no
from semigan_pl.latent_search.descent import Descent, Rows
from semigan_pl.latent_search.loss import SearchLoss
from semigan_pl.latent_search.objective import MODES, PRECISIONS, Objective, SearchResult, filled
from semigan_pl.latent_search.starts import STARTS, Encoder, Starts
from semigan_pl.latent_search.working_set import AUTO, fitting_set, is_out_of_memory
from semigan_pl.losses.distances import DISTANCES


class Task(NamedTuple):
    """Where each search of a call ended, one row per image and start, (N * restarts, ...)."""

    z: Tensor  # after its last step
    best_z: Tensor  # where its loss was lowest
    best_loss: Tensor  # there


@dataclass(frozen=True)
class LatentSearch:
    """Batched inversion of a generator.

    Args:
        descent: how z follows the gradient.
        steps: gradient steps at most.
        least_steps: gradient steps at least.
        patience: a search leaves when its loss has not fallen for so many steps; None: all steps are taken.
        tolerance: share of the loss by which it has to fall for that to count.
        keep_best: return the best z that was seen; false: the last one, as AnoGAN does.
        lambda_, distance, prior: see SearchLoss; 0.1, absolute and 0 in the AnoGAN paper.
        start: best, nearest or encoder: see Starts.
        starts: prior samples to choose starts from; a single one is AnoGAN's start.
        restarts: searches of each image, from different starts; the one with the lowest loss counts.
        working_set: searches that are under way at once; `auto`: as many as are quick and fit into memory.
        precision: of the networks during the descent, float32 or bfloat16; scores are always computed in float32.
        compile: mode of torch.compile (default, reduce-overhead for CUDA graphs, max-autotune); None: eager.
        seed: of the prior samples, the same for every image.
    """

    descent: Descent
    steps: int
    least_steps: int
    patience: int | None
    tolerance: float
    keep_best: bool
    lambda_: float
    distance: str
    prior: float
    start: str
    starts: int
    restarts: int
    working_set: int | str
    precision: str
    compile: str | None
    seed: int

    def __post_init__(self) -> None:
        whole("search.steps", self.steps, least=0)
        whole("search.least_steps", self.least_steps, least=0)
        if self.patience is not None:
            whole("search.patience", self.patience, least=1)
        share("search.tolerance", self.tolerance)
        yes_or_no("search.keep_best", self.keep_best)
        number("search.lambda_", self.lambda_, least=0, most=1)
        number("search.prior", self.prior, least=0)
        whole("search.starts", self.starts, least=1)
        whole("search.restarts", self.restarts, least=1)
        whole("search.seed", self.seed, least=0)
        if self.working_set != AUTO:
            whole("search.working_set", self.working_set, least=1)
        for option, value, allowed in (
            ("distance", self.distance, tuple(DISTANCES)),
            ("start", self.start, STARTS),
            ("precision", self.precision, tuple(PRECISIONS)),
            ("compile", self.compile, MODES),
        ):
            if value not in allowed:
                words = ", ".join(shown(choice) for choice in allowed)
                raise ValueError(f"search.{option}={shown(value)} is unknown: use one of {words}")
        if (needed := self.restarts - (self.start == "encoder")) > self.starts:
            raise ValueError(f"search.restarts={self.restarts} need {needed} prior samples: set search.starts={needed}")

    @property
    def loss(self) -> SearchLoss:
        """What is minimised."""
        return SearchLoss(self.lambda_, self.distance, self.prior)

    def prepare(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        shape: tuple[int, ...],
        encoder: Encoder | None = None,
        at_once: int | None = None,
    ) -> PreparedSearch:
        """The search in these networks as they are now: copies of them, starting points, a working set that fits.

        Args:
            generator: latents (N, latent_dim) to images; offers `sample_latents`.
            discriminator: offers `features`, images to f_l, (N, F).
            shape: of an image, (C, H, W).
            encoder: images to latents, for `start: encoder`.
            at_once: images that a call will bring at most; None: not known.
        """
        return PreparedSearch(self, generator, discriminator, shape, encoder, at_once)


class PreparedSearch:
    """A search in certain networks. Call it outside of inference mode: see `frozen`.

    Args:
        search: how to search.
        generator, discriminator, shape, encoder, at_once: see LatentSearch.prepare.
    """

    def __init__(
        self,
        search: LatentSearch,
        generator: nn.Module,
        discriminator: nn.Module,
        shape: tuple[int, ...],
        encoder: Encoder | None,
        at_once: int | None,
    ) -> None:
        self.search = search
        useful = None if at_once is None else at_once * search.restarts
        rows = fitting_set(generator, discriminator, shape, search.working_set, useful)
        self.objective = Objective(generator, discriminator, search.loss, search.precision, search.compile, rows)
        self.starts = Starts(
            search.start, search.starts, search.restarts, search.seed, self.objective, generator, encoder
        )
        device = next(generator.parameters()).device
        rates = [search.descent.learning_rate(step, search.steps) for step in range(search.steps)]
        self.rates = torch.tensor([*rates, 0.0], device=device)  # nobody steps after the last step

    def __call__(self, images: Tensor) -> SearchResult:
        """Searches for images (N, C, H, W), any number of them. Out of memory, it goes on with half the working set."""
        while True:
            try:
                return self._search(images)
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.objective.working_set.rows == 1:
                    raise
                self.objective.working_set = self.objective.working_set.halved()
            torch.cuda.empty_cache()  # outside of `except`, which would hold on to what did not fit

    def _search(self, images: Tensor) -> SearchResult:
        targets = self.objective.features(images)
        starts = self.starts(images, targets)  # (N, R, latent_dim)
        ended = self._descend(images, targets, starts.flatten(0, 1))
        of_image = torch.arange(len(images), device=images.device).repeat_interleave(self.search.restarts)
        found = self._scored(ended, images[of_image], targets[of_image])
        winners = (
            found.loss.view(len(images), -1).argmin(1)
            + torch.arange(len(images), device=images.device) * self.search.restarts
        )
        return SearchResult(*(values[winners] for values in found))

    def _scored(self, ended: Task, images: Tensor, targets: Tensor) -> SearchResult:
        """The terms where each search ended, or at the best point on its way."""
        found = self.objective.evaluate(ended.z, images, targets)
        if not self.search.keep_best:
            return found
        rows = (ended.best_loss < found.loss).nonzero().squeeze(1)
        if len(rows):
            best = self.objective.evaluate(ended.best_z[rows], images[rows], targets[rows])
            better = best.loss < found.loss[rows]  # said in float32 now
            for values, others in zip(found, best, strict=True):
                values[rows[better]] = others[better]
        return found

    def _descend(self, images: Tensor, targets: Tensor, starts: Tensor) -> Task:
        """Goes through all searches, in a working set that is filled up as they end."""
        n = len(starts)
        ended = Task(starts.clone(), starts.clone(), torch.full((n,), torch.inf, device=starts.device))
        waiting, rows = (0 if self.search.steps else n), self._begin(starts[:0], 0)
        while True:
            room = self.objective.working_set.rows - len(rows["z"])
            if room and waiting < n:
                new = self._begin(starts[waiting : waiting + room], waiting)
                rows = {name: torch.cat([values, new[name]]) for name, values in rows.items()}
                waiting += len(new["z"])
                seen = None
            if not len(rows["z"]):
                return ended
            if seen is None:
                size, of_image = self.objective.padded(len(rows["z"])), rows["task"] // self.search.restarts
                seen = filled(images[of_image], size), filled(targets[of_image], size)
            leaving = self._step(rows, *seen)
            if leaving.any():
                self._record(ended, {name: values[leaving] for name, values in rows.items()})
                rows, seen = {name: values[~leaving] for name, values in rows.items()}, None

    def _begin(self, starts: Tensor, first: int) -> Rows:
        """Rows of searches that begin."""
        n, device = len(starts), starts.device
        return {
            "task": torch.arange(first, first + n, device=device),
            "z": starts.clone(),
            "taken": torch.zeros(n, dtype=torch.int64, device=device),
            "best_z": starts.clone(),
            "best_loss": torch.full((n,), torch.inf, device=device),
            "mark": torch.full((n,), torch.inf, device=device),  # the loss that has to be undercut,
            "since": torch.zeros(n, dtype=torch.int64, device=device),  # and steps since that happened
            **self.search.descent.begin(starts),
        }

    def _step(self, rows: Rows, images: Tensor, targets: Tensor) -> Tensor:
        """One step of every search; returns which of them end with it, (W,)."""
        search, n = self.search, len(rows["z"])
        loss, gradient = self.objective.descend(filled(rows["z"], len(images)), images, targets)
        loss, gradient = loss[:n], gradient[:n]
        better = loss < rows["best_loss"]
        rows["best_z"] = torch.where(better[:, None], rows["z"], rows["best_z"])
        rows["best_loss"] = torch.where(better, loss, rows["best_loss"])
        fallen = loss < rows["mark"] * (1 - search.tolerance)
        rows["mark"] = torch.where(fallen, loss, rows["mark"])
        rows["since"] = torch.where(fallen, 0, rows["since"] + 1)
        rows["z"] = search.descent.step(rows, rows["z"], loss, gradient, rows["taken"], self.rates[rows["taken"]])
        rows["taken"] = rows["taken"] + 1
        leaving = rows["taken"] >= search.steps
        if search.patience is not None:
            leaving = leaving | ((rows["since"] >= search.patience) & (rows["taken"] >= search.least_steps))
        return leaving

    def _record(self, ended: Task, rows: Rows) -> None:
        ended.z[rows["task"]] = rows["z"]
        ended.best_z[rows["task"]] = rows["best_z"]
        ended.best_loss[rows["task"]] = rows["best_loss"]
