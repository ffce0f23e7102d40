"""Before a long training: does its last phase fit into memory, and how long will each phase take?"""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil
import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from semigan_pl.callbacks.timing import duration, seconds_of_scoring
from semigan_pl.checks import whole
from semigan_pl.growth import Phase, ProgressiveSchedule, Stage, set_stage
from semigan_pl.methods.adversarial import ENCODER, PLAYERS, AdversarialModule
from semigan_pl.types import Batch

GIB = 2**30


class Remaining(NamedTuple):
    """What is left of a phase, or of an encoder's stage after the last one, and how long a step of it takes."""

    phase: Phase
    images: int
    seconds_per_step: float
    player: str = ""  # who moves, where it is not both

    @property
    def seconds(self) -> float:
        return self.images / self.phase.batch_size * self.seconds_per_step


class Rehearsal(Callback):
    """Tries a step of every phase to come, the last one first, then prints how long each will take.

    Nothing of it remains: weights, statistics, optimizers and counters are put back. A batch that would not fit into
    the memory ends in a sentence that says which one does. (What a container is limited to is not seen.)

    Args:
        schedule: of the training; None: nothing is tried.
        steps: measured per phase, after one that warms up; 0: no rehearsal.
    """

    def __init__(self, schedule: ProgressiveSchedule | None, steps: int) -> None:
        self.schedule = schedule
        self.steps = whole("callbacks.rehearsal.steps", steps, least=0)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.schedule is None or not self.steps or not isinstance(pl_module, AdversarialModule):
            return
        phases = to_come(self.schedule, pl_module.images_seen)
        if not phases:
            return
        stage = self.schedule.at(pl_module.images_seen)
        with as_if_nothing_happened(trainer, pl_module):
            self._fits(trainer, pl_module, phases[-1][0])
            remaining = [
                Remaining(phase, images, self._seconds(trainer, pl_module, phase, PLAYERS)) for phase, images in phases
            ]
            if pl_module.encoding is not None:
                last, images = phases[-1][0], trainer.datamodule.max_images - self.schedule.total_images  # type: ignore[attr-defined]
                seconds = self._seconds(trainer, pl_module, last, [ENCODER])
                remaining.append(Remaining(last, images, seconds, ENCODER))
            set_stage(pl_module, Stage(self.schedule.phases[-1].resolution))
            scoring = seconds_of_scoring(trainer, pl_module, blank_block(trainer, pl_module))
        set_stage(pl_module, stage)
        if trainer.is_global_zero:  # trainer.print alone would say it on every machine
            trainer.print(announcement(remaining, scoring))

    def _fits(self, trainer: Trainer, module: AdversarialModule, phase: Phase) -> None:
        """Raises ValueError unless a step of the phase fits into memory: tries larger and larger batches."""
        set_stage(module, costliest_stage(phase))
        memory = Memory(module.device)
        size, parts = phase.batch_size // trainer.world_size, module.updates.accumulate
        tried: list[tuple[int, int]] = []
        for n in rising(size // parts):
            if (fitting := memory.most(tried)) is not None and fitting < n:
                raise ValueError(self._too_large(phase, fitting * parts * trainer.world_size, memory))
            try:
                self._step(trainer, module, phase, n * parts, module.players)
            except torch.OutOfMemoryError as error:
                fitting = tried[-1][0] if tried else 0
                raise ValueError(self._too_large(phase, fitting * parts * trainer.world_size, memory)) from error
            tried.append((n, memory.peak()))

    def _too_large(self, phase: Phase, fitting: int, memory: Memory) -> str:
        size = phase.resolution
        remedy = f"{fitting} fit" if fitting else "not even 1 fits"
        advice = f"+growth.batch_sizes.{size}={max(1, fitting)}"
        return (
            f"a step of the last phase, {size} px with {phase.batch_size} images, does not fit into the"
            f" {memory.available / GIB:.1f} GiB that are free: {remedy}; set {advice} or model.updates.accumulate=2"
        )

    def _seconds(self, trainer: Trainer, module: AdversarialModule, phase: Phase, players: Sequence[str]) -> float:
        set_stage(module, costliest_stage(phase))
        size = phase.batch_size // trainer.world_size
        self._step(trainer, module, phase, size, players)
        start = time.perf_counter()
        for _ in range(self.steps):
            self._step(trainer, module, phase, size, players)
        return (time.perf_counter() - start) / self.steps

    def _step(
        self, trainer: Trainer, module: AdversarialModule, phase: Phase, size: int, players: Sequence[str]
    ) -> None:
        """One step of each player on noise: `size` unlabelled images and as many known anomalies as there will be."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        n_known = size if len(data.splits.train_known) else 0
        shape = (size + n_known, data.image_format.channels, phase.resolution, phase.resolution)
        images = torch.rand(shape, generator=module.noise_at(0), dtype=torch.float32) * 2 - 1
        labels = torch.tensor([0] * size + [1] * n_known)
        batch = Batch(images.to(module.device), labels.to(module.device), torch.arange(len(labels)))
        module.noise = module.noise_at(0)
        with trainer.precision_plugin.train_step_context():
            for player in players:
                values = module.move(player, batch)
        float(values[f"{players[-1][0]}_gradient"])  # waits for a GPU


def to_come(schedule: ProgressiveSchedule, images_seen: int) -> list[tuple[Phase, int]]:
    """Phases that are not over yet, with the images that are left of each."""
    ends = [start + phase.fade + phase.hold for start, phase in zip(schedule.starts, schedule.phases, strict=True)]
    left = zip(schedule.phases, schedule.starts, ends, strict=True)
    return [(phase, end - max(start, images_seen)) for phase, start, end in left if end > images_seen]


def costliest_stage(phase: Phase) -> Stage:
    """In a fade both paths work."""
    return Stage(phase.resolution, 0.5 if phase.fade else 1.0)


def rising(size: int) -> list[int]:
    """Sizes to try before a large one: an eighth, a quarter, a half, all of it."""
    return sorted({max(1, size // divisor) for divisor in (8, 4, 2, 1)})


class Memory:
    """Of a GPU, or of the machine."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = self.peak()
        if device.type == "cuda":
            self.available = torch.cuda.mem_get_info(device)[0]
        else:
            self.available = psutil.virtual_memory().available

    def peak(self) -> int:
        """Bytes in use at the worst moment so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def most(self, tried: list[tuple[int, int]]) -> int | None:
        """The largest batch that fits if memory goes on growing as between two (size, peak); None: not known yet."""
        if len(tried) < 2:
            return None
        (small, low), (large, high) = tried[-2:]
        per_image = (high - low) / (large - small)
        if per_image <= 0:
            return None
        return large + int((self.available - (high - self.before)) / per_image)


@contextmanager
def as_if_nothing_happened(trainer: Trainer, module: AdversarialModule) -> Iterator[None]:
    """Puts back weights, statistics, counters, optimizers and gradients."""
    state = {
        name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }
    optimizers = [copy.deepcopy(optimizer.state_dict()) for optimizer in trainer.optimizers]
    module.train()
    try:
        yield
    finally:
        module.load_state_dict(state)
        for optimizer, before in zip(trainer.optimizers, optimizers, strict=True):
            optimizer.state.clear()
            optimizer.load_state_dict(before)
            optimizer.zero_grad()


def blank_block(trainer: Trainer, module: AdversarialModule) -> Tensor:
    """A block of images of full size to time the scoring on, (block_size, C, H, W)."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    return torch.zeros(module.block_size, *data.image_format.shape, device=module.device)


def announcement(remaining: list[Remaining], scoring: float) -> str:
    """A line for each phase, and the sum."""
    lines = [
        f"  {part.phase.resolution:>5} px  {part.images:>11,} images  batch {part.phase.batch_size:>4}"
        f"  {_rate(part.phase.batch_size / part.seconds_per_step):>9} images/s  {duration(part.seconds):>9}"
        f"  {part.player}"
        for part in remaining
    ]
    training = sum(part.seconds for part in remaining)
    whole = f"About {duration(training + scoring)} to go: training {duration(training)}, scoring {duration(scoring)}."
    return "\n".join(["Phases to come:", *(line.rstrip() for line in lines), whole])


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"
