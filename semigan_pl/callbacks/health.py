"""Health of a GAN's training: numbers that show a failing one early, and advice when it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from semigan_pl.callbacks.checkpoint import save_last
from semigan_pl.checks import number, whole, yes_or_no
from semigan_pl.evaluation.diversity import relative_diversity, separation
from semigan_pl.evaluation.sliced_wasserstein import sliced_wasserstein_by_resolution
from semigan_pl.growth import double
from semigan_pl.latent_search import frozen
from semigan_pl.methods.adversarial import AdversarialModule

PATCHES, DIRECTIONS = 4096, 64  # of a sliced Wasserstein distance: two hundredths of a second per level on a CPU
MOST_VALUES = 2**26  # of images that a check holds of either kind (256 MiB): 21 images of 1024 px in colour

COLLAPSE = (
    "the generated images are {value:.2g} times as diverse as the training images at {checks} checks in a row "
    "(callbacks.health.least_diversity={limit}): the generator makes nearly the same image over and over (mode "
    "collapse). Try a lower optimizer.generator.lr, another loss (loss=wasserstein, loss=hinge), a gradient penalty "
    "(loss.gradient_penalty=10), or more training images."
)
OVERPOWERED = (
    "the discriminator ranks real above generated images in a share of {value:.4g} of all pairs at {checks} checks in "
    "a row (callbacks.health.most_d_accuracy={limit}): it tells them apart so well that the generator learns little "
    "from it. Try a lower optimizer.discriminator.lr, fewer model.critic_steps, a gradient penalty "
    "(loss.gradient_penalty=10), another loss (loss=wasserstein), or more training images."
)


def measure(module: AdversarialModule, real: Tensor, block_size: int) -> dict[str, float]:
    """The numbers of `HealthMonitor`, for real images (N, C, H, W) of the resolution that is being trained.

    Always from the same latents, patches and directions, drawn apart from the training's random numbers. The networks
    see `block_size` images at a time and stand in eval mode: no running statistic moves. A stage that has moved on
    since those images begins with alpha near 0, where doubled images are what the discriminator is shown.
    """
    noise = module.noise = torch.Generator().manual_seed(0)  # the training's is made anew for every batch
    with torch.no_grad(), frozen(module):
        parts = module.generator_inputs(real.to(module.device)).split(block_size)
        # by `forward`: a compiled one would be translated anew for these few calls
        made = [module.generator.forward(part) for part in parts]
        generated_logits = _together(map(module.logits_of_generated, made, parts))
        generated = _together(made)
        while real.shape[2] < generated.shape[2]:
            real = double(real)
        real_logits = _together(module.logits(part.to(module.device)) for part in real.split(block_size))
        distances = sliced_wasserstein_by_resolution(
            real, generated, patches=max(1, PATCHES // len(real)), directions=DIRECTIONS, noise=noise
        )
    values = {
        "d_accuracy": separation(real_logits, generated_logits),
        "diversity": relative_diversity(generated, real),
    }
    return values | {f"swd_{resolution}": distance for resolution, distance in distances.items()}


def _together(parts: Iterable[Tensor]) -> Tensor:
    """What came out block by block, on the CPU."""
    return torch.cat([part.float().cpu() for part in parts])


class Trouble(NamedTuple):
    """What can be wrong: a number beyond its limit."""

    name: str  # of the number, after health/
    limit: float
    too_low: bool
    advice: str

    def words(self, value: float, checks: int) -> str:
        return self.advice.format(value=value, checks=checks, limit=self.limit)

    def is_seen(self, value: float) -> bool:
        return value < self.limit if self.too_low else value > self.limit


class HealthMonitor(Callback):
    """Logs `health/d_accuracy`, `health/diversity` and `health/swd_<resolution>` at regular distances.

    Compared are the unlabelled images of the last training batches and as many of the generator that is being trained
    (not of its average), both as the discriminator is shown them. Trouble at several checks in a row is printed once
    per kind, with advice; the training is not changed by a bit. A discriminator cannot overpower a generator that is
    not paid by its verdict (GANomaly's): there its accuracy is only logged.

    Args:
        checks: how many over a whole training; 0: none.
        images: compared at a check, of either kind; fewer where images are large (see MOST_VALUES).
        max_images: length of the training.
        warm_up: generator steps before which a generator is a beginner: its numbers are logged, and nothing is said.
        least_diversity: below it generated images are called collapsed; 1: as diverse as the training images.
        most_d_accuracy: above it the discriminator is called overpowered; 1: it ranks every pair rightly.
        in_a_row: checks that have to agree before anything is said.
        stop: whether trouble also ends the training, with a ValueError on every process.
    """

    def __init__(
        self,
        checks: int,
        images: int,
        max_images: int,
        warm_up: int,
        least_diversity: float,
        most_d_accuracy: float,
        in_a_row: int,
        stop: bool,
    ) -> None:
        checks = whole("callbacks.health.checks", checks, least=0)
        self.every = max(1, whole("max_images", max_images, least=0) // checks) if checks else 0
        self.images = whole("callbacks.health.images", images, least=2)
        self.warm_up = whole("callbacks.health.warm_up", warm_up, least=0)
        low = number("callbacks.health.least_diversity", least_diversity, least=0)
        high = number("callbacks.health.most_d_accuracy", most_d_accuracy, least=0, most=1)
        self.troubles = [
            Trouble("diversity", low, True, COLLAPSE),
            Trouble("d_accuracy", high, False, OVERPOWERED),
        ]
        self.in_a_row = whole("callbacks.health.in_a_row", in_a_row, least=1)
        self.stop = yes_or_no("callbacks.health.stop", stop)
        self._in_a_row: Counter[str] = Counter()  # checks up to now that agree on each trouble
        self._told: set[str] = set()
        self._recent: list[Tensor] = []  # unlabelled images before the next check, a part per batch
        self._next = 0

    def state_dict(self) -> dict[str, Any]:
        return {"in_a_row": dict(self._in_a_row), "told": sorted(self._told)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._in_a_row, self._told = Counter(state_dict["in_a_row"]), set(state_dict["told"])

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._begin(pl_module.images_seen)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not self.every or not isinstance(pl_module, AdversarialModule):
            return
        if pl_module.game_is_over:
            return
        wanted = max(2, min(self.images, MOST_VALUES // batch.images[0].numel()))
        if trainer.is_global_zero and pl_module.images_seen + wanted * trainer.world_size > self._next:
            self._recent.append(batch.unlabelled.cpu())
        if pl_module.images_seen >= self._next:
            advice = self._check(trainer, pl_module, wanted) if trainer.is_global_zero else ""
            self._begin(pl_module.images_seen)
            if self.stop:
                self._end(trainer, advice)

    def _begin(self, images_seen: int) -> None:
        """Starts to wait for the next check, whose place is a function of the images seen alone."""
        self._next = (images_seen // self.every + 1) * self.every if self.every else 0
        self._recent = []

    def _check(self, trainer: Trainer, module: AdversarialModule, wanted: int) -> str:
        """Measures, logs, and says what is new; returns all that is wrong now."""
        size = self._recent[-1].shape[1:]
        real = torch.cat([part for part in self._recent if part.shape[1:] == size])[-wanted:]
        if len(real) < 2:
            return ""
        values = measure(module, real, block_size=len(self._recent[-1]))
        for logger in trainer.loggers:
            logger.log_metrics({f"health/{name}": value for name, value in values.items()}, step=module.images_seen)
        if module.batches_seen < self.warm_up * module.critic_steps:
            return ""
        possible = [trouble for trouble in self.troubles if trouble.name != "d_accuracy" or module.pays_by_verdict]
        wrong = [trouble for trouble in possible if self._persists(trouble, values[trouble.name])]
        advice = {trouble.name: trouble.words(values[trouble.name], self._in_a_row[trouble.name]) for trouble in wrong}
        for name in advice:
            if name not in self._told and not self.stop:
                trainer.print(f"Health: {advice[name]}")
        self._told |= advice.keys()
        return " And ".join(advice.values())

    def _persists(self, trouble: Trouble, value: float) -> bool:
        """Counts this check in."""
        self._in_a_row[trouble.name] = self._in_a_row[trouble.name] + 1 if trouble.is_seen(value) else 0
        return self._in_a_row[trouble.name] >= self.in_a_row

    def _end(self, trainer: Trainer, advice: str) -> None:
        """Ends the training on every process, where the first one found something wrong."""
        if trainer.world_size > 1:
            advice = trainer.strategy.broadcast(advice)
        if advice:
            path = save_last(trainer)
            raise ValueError(
                f"training is stopped (callbacks.health.stop=true): {advice} {path} is kept: to go on from it all the "
                f"same, type python run.py 'run={trainer.default_root_dir}' checkpoint=last callbacks.health.stop=false"
            )
