"""Progressive growing as arithmetic (Karras et al. 2018): which resolution is trained when, and what it is shown.

A schedule is a pure function of the unlabelled images seen, over all processes: a training that stops anywhere and
resumes needs no state of growth. A batch belongs to the stage at the images seen *before* it, with the batch size and
learning rate of that phase, also where its last images reach over a border; the next batch begins in the next phase.

A stage fades its resolution in with weight alpha of the *new* path, which rises from 0 to 1. Stage (r, 0) is the same
function as (r / 2, 1): nothing jumps at a border. Level of detail in the reference: log2(final / r) + 1 - alpha.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

SMALLEST = 4  # px, where growing starts at the earliest
Number = TypeVar("Number", int, float)


def level(resolution: int, option: str = "resolution") -> int:
    """How often 4 px are doubled to reach `resolution`. Raises ValueError, naming `option`, where they never do."""
    if resolution < SMALLEST or resolution & (resolution - 1):
        raise ValueError(f"{option}={resolution}: growing doubles from 4 px on; take a power of two (4, 8, 16, ...)")
    return resolution.bit_length() - SMALLEST.bit_length()


@dataclass(frozen=True)
class Stage:
    """What is trained: `resolution` in pixels, its newest layers with weight `alpha` in [0, 1]."""

    resolution: int
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"a stage fades with alpha={self.alpha}: it is a weight from 0 (old) to 1 (new)")
        if level(self.resolution) == 0 and self.alpha < 1:
            raise ValueError(f"a stage of {SMALLEST} px with alpha={self.alpha} has nothing to fade in from")


@dataclass(frozen=True)
class Phase:
    """One resolution's time: it fades in over `fade` images, then is held for `hold`; both unlabelled images seen.

    batch_size: unlabelled images of a step, over all processes.  lr: learning rate of both players.
    """

    resolution: int
    fade: int
    hold: int
    batch_size: int
    lr: float

    def __post_init__(self) -> None:
        level(self.resolution)
        if self.fade < 0 or self.hold < 0 or self.fade + self.hold == 0:
            raise ValueError(
                f"the phase of {self.resolution} px has fade={self.fade} and hold={self.hold}: "
                "give counts of images that are not negative and not both 0"
            )
        if self.batch_size < 1 or not self.lr > 0:
            raise ValueError(
                f"the phase of {self.resolution} px has batch_size={self.batch_size} and lr={self.lr}: "
                "both have to be positive"
            )


@dataclass(frozen=True)
class ProgressiveSchedule:
    """Phases one after the other, each resolution twice the one before; the first has nothing to fade in from.

    Phases are half-open: the batch that starts at a phase's first image belongs to it, with alpha 0. After the last
    phase its stage stays. Raises ValueError for phases that cannot follow each other.
    """

    phases: Sequence[Phase]

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        if not self.phases:
            raise ValueError("a schedule without phases trains nothing: give at least one")
        if self.phases[0].fade > 0:
            raise ValueError(f"the first phase has fade={self.phases[0].fade} and nothing to fade in from: set 0")
        for before, after in pairwise(self.phases):
            if after.resolution != 2 * before.resolution:
                raise ValueError(
                    f"the phase of {before.resolution} px is followed by {after.resolution} px: resolutions double"
                )

    @property
    def total_images(self) -> int:
        """Length of the whole training, in images."""
        return sum(phase.fade + phase.hold for phase in self.phases)

    @property
    def starts(self) -> list[int]:
        """Images seen where each phase begins; the first is 0."""
        return [0, *accumulate(phase.fade + phase.hold for phase in self.phases[:-1])]

    @property
    def borders(self) -> list[int]:
        """Images seen where a fade starts or ends, in order: there the reference resets the optimizers."""
        fades = list(zip(self.starts, self.phases, strict=True))[1:]
        return sorted({border for start, phase in fades for border in (start, start + phase.fade)})

    def borders_passed(self, images_seen: int) -> int:
        """How many borders lie at or before `images_seen`; where it differs between two batches, one was crossed."""
        return bisect_right(self.borders, images_seen)

    def phase(self, images_seen: int) -> Phase:
        """The phase of the batch that starts after `images_seen` images: its batch size and learning rate."""
        return self.phases[self._index(images_seen)]

    def at(self, images_seen: int) -> Stage:
        """The stage of the batch that starts after `images_seen` images."""
        index = self._index(images_seen)
        phase, since = self.phases[index], images_seen - self.starts[index]
        return Stage(phase.resolution, since / phase.fade if since < phase.fade else 1.0)

    def scaled(self, max_images: int) -> ProgressiveSchedule:
        """The same schedule stretched or shortened to exactly `max_images`. Raises ValueError if a phase vanishes."""
        parts = [count for phase in self.phases for count in (phase.fade, phase.hold)]
        ends = [round(end * max_images / self.total_images) for end in (0, *accumulate(parts))]
        counts = [after - before for before, after in pairwise(ends)]
        if any(fade + hold < 1 for fade, hold in zip(counts[::2], counts[1::2], strict=True)):
            raise ValueError(
                f"max_images={max_images} leaves no image to some of the {len(self.phases)} phases: raise it"
            )
        fitted = zip(self.phases, counts[::2], counts[1::2], strict=True)
        return ProgressiveSchedule([replace(phase, fade=fade, hold=hold) for phase, fade, hold in fitted])

    def _index(self, images_seen: int) -> int:
        if images_seen < 0:
            raise ValueError(f"images_seen={images_seen} cannot be negative")
        return bisect_right(self.starts, images_seen) - 1


def doubling_schedule(
    first: int,
    last: int,
    fade: int,
    hold: int,
    batch_sizes: Mapping[int, int],
    learning_rates: Mapping[int, float],
    last_hold: int | None,
    max_images: int | None,
    encoder_share: float,
) -> ProgressiveSchedule:
    """The reference's schedule: every resolution from `first` to `last` px fades in and is held equally long.

    Args:
        first, last: resolutions, powers of two.
        fade, hold: images of each; 600,000 and 600,000 in the reference's code, 800,000 in the paper.
        batch_sizes, learning_rates: from each resolution on; {4: 16, 256: 14, 512: 6, 1024: 3} in the paper.
        last_hold: images that the last resolution is held for; None: `hold`.
        max_images: length of the training, all counts scaled to it; None: as they are.
        encoder_share: of `max_images`, at their end, left to an encoder: growing is over by then.
    """
    levels = range(level(first, "first resolution"), level(last, "last resolution") + 1)
    phases = [
        Phase(
            resolution := SMALLEST << n,
            fade=fade if resolution > first else 0,
            hold=last_hold if resolution == last and last_hold is not None else hold,
            batch_size=_from(batch_sizes, resolution, "batch size"),
            lr=_from(learning_rates, resolution, "learning rate"),
        )
        for n in levels
    ]
    schedule = ProgressiveSchedule(phases)
    return schedule if max_images is None else schedule.scaled(adversarial_images(max_images, encoder_share))


def adversarial_images(max_images: int, encoder_share: float) -> int:
    """Images of a training in which the adversarial game is played: all but the last share, which is an encoder's."""
    return round((1 - encoder_share) * max_images)


def _from(values: Mapping[int, Number], resolution: int, what: str) -> Number:
    """The value of the largest resolution that is not above this one."""
    by_start = {int(start): value for start, value in values.items()}  # typed one by one, keys arrive as text
    reached = [start for start in by_start if start <= resolution]
    if not reached:
        raise ValueError(f"no {what} is given for {resolution} px: name the resolution, or one below it")
    return by_start[max(reached)]


def halve(images: Tensor) -> Tensor:
    """Means over 2 x 2 pixels. (N, C, H, W) -> (N, C, H / 2, W / 2)."""
    return avg_pool2d(images, 2)


def double(images: Tensor) -> Tensor:
    """Every pixel becomes 2 x 2. (N, C, H, W) -> (N, C, 2 H, 2 W)."""
    return interpolate(images, scale_factor=2.0, mode="nearest")


def resize_to(images: Tensor, stage: Stage) -> Tensor:
    """What the discriminator is shown of images at a stage: real ones and known anomalies alike.

    Mean-pooled to the stage's resolution, then cross-faded with their own halved and doubled version, as generated
    images of that stage are. (N, C, H, H), a multiple of the resolution -> (N, C, resolution, resolution), floats.
    """
    height, width = images.shape[-2:]
    if height != width or height % stage.resolution:
        raise ValueError(f"images of {height} x {width} px cannot be shown at {stage.resolution} px by mean pooling")
    if height > stage.resolution:
        images = avg_pool2d(images, height // stage.resolution)
    return images if stage.alpha == 1 else double(halve(images)).lerp(images, stage.alpha)


def grows(module: nn.Module) -> bool:
    """Whether a network inside `module` has a stage."""
    return any(isinstance(getattr(network, "stage", None), Stage) for network in module.modules())


def set_stage(module: nn.Module, stage: Stage) -> None:
    """Sets the stage of every network inside `module` that grows, averaged ones too."""
    for network in module.modules():
        if isinstance(getattr(network, "stage", None), Stage):
            network.stage = stage  # type: ignore[assignment]
