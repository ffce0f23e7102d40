"""The schedule against the reference's formula, its borders, what cannot be scheduled, and what a stage shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from semigan_pl import growth
from semigan_pl.growth import (
    Phase,
    ProgressiveSchedule,
    Stage,
    double,
    halve,
    level,
    resize_to,
    set_stage,
)

doubling_schedule = partial(growth.doubling_schedule, last_hold=None, max_images=None, encoder_share=0.0)
BATCHES = {4: 16, 256: 14, 512: 6, 1024: 3}
RATES = {4: 0.001, 256: 0.0015}


def schedule(first: int = 4, last: int = 16, fade: int = 20, hold: int = 10, **options: Any) -> ProgressiveSchedule:
    return doubling_schedule(first, last, fade, hold, {4: 4, 16: 2}, RATES, **options)


def phase(resolution: int = 4, fade: int = 0, hold: int = 10, batch_size: int = 4, lr: float = 0.001) -> Phase:
    return Phase(resolution, fade, hold, batch_size, lr)


def reference_detail(images_seen: int, final: int, hold: int, fade: int) -> float:
    """lod of Karras et al.: 0 at full size, falling by 1 over each fade (methods.md section 3)."""
    index, since = divmod(images_seen, hold + fade)
    return max(math.log2(final) - 2 - index - max(since - hold, 0) / fade, 0.0)


def detail(stage: Stage, final: int) -> float:
    return math.log2(final / stage.resolution) + 1 - stage.alpha


@pytest.mark.parametrize("thousands", [600, 800])
@pytest.mark.parametrize("final", [4, 32, 1024])
def test_detail_follows_the_reference(final: int, thousands: int) -> None:
    count = thousands * 1000
    growing = doubling_schedule(4, final, count, count, BATCHES, RATES)
    assert growing.total_images == count * (2 * level(final) + 1)
    for images_seen in range(0, growing.total_images + 2 * count, 12_345):
        expected = reference_detail(images_seen, final, hold=count, fade=count)
        assert detail(growing.at(images_seen), final) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("images_seen", "stage", "expected"),
    [
        (0, Stage(4), 8.0),
        (599_999, Stage(4), 8.0),
        (600_000, Stage(8, 0.0), 8.0),  # the same function as 4 px
        (900_000, Stage(8, 0.5), 7.5),
        (1_200_000, Stage(8), 7.0),
        (1_800_000, Stage(16, 0.0), 7.0),
        (9_600_000, Stage(1024), 0.0),
        (12_000_000, Stage(1024), 0.0),
        (99_000_000, Stage(1024), 0.0),
    ],
)
def test_the_table_of_the_reference(images_seen: int, stage: Stage, expected: float) -> None:
    growing = doubling_schedule(4, 1024, 600_000, 600_000, BATCHES, RATES, last_hold=2_400_000)
    assert growing.at(images_seen) == stage
    assert detail(stage, 1024) == expected
    assert growing.total_images == 12_000_000


def test_batch_size_and_learning_rate_follow_the_phase() -> None:
    growing = doubling_schedule(4, 1024, 600, 600, BATCHES, RATES)
    found = {part.resolution: (part.batch_size, part.lr) for part in growing.phases}
    assert found[4] == found[128] == (16, 0.001)
    assert found[256] == (14, 0.0015)
    assert found[512] == (6, 0.0015)
    assert found[1024] == (3, 0.0015)
    assert growing.phase(599).resolution == 4
    assert growing.phase(600).resolution == 8
    assert growing.phase(10**9).resolution == 1024


def test_borders_are_the_ends_of_each_fade() -> None:
    growing = schedule()  # 4 px 0..10, 8 px 10..40 (fade to 30), 16 px 40..70 (fade to 60)
    assert growing.starts == [0, 10, 40]
    assert growing.borders == [10, 30, 40, 60]
    assert [growing.borders_passed(n) for n in (0, 9, 10, 29, 30, 40, 59, 60, 1000)] == [0, 0, 1, 1, 2, 3, 3, 4, 4]


def test_the_reference_resets_where_a_border_is_passed() -> None:
    """reset_opt_for_new_lod: wherever floor or ceil of lod changes, seen one image later (the reference is closed)."""
    growing = schedule()
    details = [reference_detail(n, 16, hold=10, fade=20) for n in range(71)]
    rounded = [(math.floor(value), math.ceil(value)) for value in details]
    theirs = [n for n in range(1, 71) if rounded[n] != rounded[n - 1]]
    ours = [n for n in range(1, 71) if growing.borders_passed(n) != growing.borders_passed(n - 1)]
    assert ours == [10, 30, 40, 60]
    assert theirs == [11, 30, 41, 60]


def test_no_fade_means_one_border_and_a_jump() -> None:
    growing = schedule(fade=0)
    assert growing.borders == [10, 20]
    assert [growing.at(n) for n in (9, 10, 20)] == [Stage(4), Stage(8), Stage(16)]


def test_a_last_phase_may_end_with_its_fade() -> None:
    growing = schedule(last=8, last_hold=0)
    assert growing.total_images == 30
    assert [growing.at(n).alpha for n in (10, 29, 30, 31)] == [0, 0.95, 1, 1]


def test_a_batch_over_a_border_belongs_to_where_it_starts() -> None:
    growing, seen, steps = schedule(last=8), 0, []
    while seen < growing.total_images:
        steps.append((seen, growing.phase(seen).batch_size, growing.at(seen)))
        seen += growing.phase(seen).batch_size
    assert steps[:4] == [(0, 4, Stage(4)), (4, 4, Stage(4)), (8, 4, Stage(4)), (12, 4, Stage(8, 0.1))]
    assert 0 <= seen - growing.total_images < 4


def test_asking_changes_nothing() -> None:
    growing = schedule()
    forwards = [growing.at(n) for n in range(80)]
    assert [growing.at(n) for n in reversed(range(80))] == forwards[::-1]


@pytest.mark.parametrize("max_images", [7, 35, 64, 1000, 12_345_678])
def test_scaling_meets_the_total_and_keeps_the_shares(max_images: int) -> None:
    whole, scaled = schedule(), schedule(max_images=max_images)
    assert scaled.total_images == max_images
    assert [part.batch_size for part in scaled.phases] == [4, 4, 2]
    for border, original in zip(scaled.borders, whole.borders, strict=True):
        assert abs(border - original * max_images / 70) <= 0.5


def test_a_schedule_may_start_above_4_px_and_be_one_phase() -> None:
    growing = schedule(first=8, last=8)
    assert growing.phases == (Phase(8, 0, 10, 4, 0.001),)
    assert growing.borders == []
    assert growing.at(5) == Stage(8)


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: ProgressiveSchedule([]), "without phases"),
        (lambda: ProgressiveSchedule([phase(4), phase(16)]), "4 px is followed by 16 px"),
        (lambda: ProgressiveSchedule([phase(8), phase(4)]), "8 px is followed by 4 px"),
        (lambda: ProgressiveSchedule([phase(4), phase(4)]), "4 px is followed by 4 px"),
        (lambda: ProgressiveSchedule([phase(4, fade=5)]), "first phase has fade=5"),
        (lambda: phase(12), "resolution=12.*power of two"),
        (lambda: phase(2), "resolution=2.*from 4 px"),
        (lambda: phase(0), "resolution=0"),
        (lambda: phase(-8), "resolution=-8"),
        (lambda: phase(8, fade=-1), "8 px has fade=-1"),
        (lambda: phase(8, hold=-1), "hold=-1"),
        (lambda: phase(8, fade=0, hold=0), "not both 0"),
        (lambda: phase(batch_size=0), "batch_size=0"),
        (lambda: phase(lr=0.0), "lr=0.0"),
        (lambda: phase(lr=math.nan), "lr=nan"),
        (lambda: schedule(first=16, last=8), "without phases"),
        (lambda: schedule(last=24), "last resolution=24"),
        (lambda: schedule(max_images=2), "max_images=2 leaves no image"),
        (lambda: doubling_schedule(4, 8, 1, 1, {8: 4}, RATES), "no batch size is given for 4 px"),
        (lambda: doubling_schedule(4, 8, 1, 1, BATCHES, {}), "no learning rate is given for 4 px"),
        (lambda: schedule().at(-1), "images_seen=-1"),
        (lambda: Stage(8, 1.5), "alpha=1.5"),
        (lambda: Stage(8, math.nan), "alpha=nan"),
        (lambda: Stage(12), "resolution=12"),
        (lambda: Stage(4, 0.5), "nothing to fade in from"),
        (lambda: resize_to(torch.zeros(1, 1, 4, 4), Stage(8)), "4 x 4 px cannot be shown at 8 px"),
        (lambda: resize_to(torch.zeros(1, 1, 12, 12), Stage(8)), "12 x 12 px"),
        (lambda: resize_to(torch.zeros(1, 1, 8, 16), Stage(8)), "8 x 16 px"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(attempt: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        attempt()
    assert "\n" not in str(error.value)


PICTURE = torch.arange(2 * 3 * 16 * 16).float().view(2, 3, 16, 16)  # whole numbers: means over 2 x 2 are exact


def test_a_stage_shows_means_over_squares() -> None:
    shown = resize_to(PICTURE, Stage(4))
    assert shown.shape == (2, 3, 4, 4)
    assert shown[1, 2, 3, 0] == PICTURE[1, 2, 12:16, 0:4].mean()
    assert torch.equal(shown, halve(halve(PICTURE)))
    assert torch.equal(resize_to(PICTURE, Stage(16)), PICTURE)


def test_a_fade_shows_the_image_crossed_with_its_coarse_self() -> None:
    shown = resize_to(PICTURE, Stage(8, 0.25))
    fine = PICTURE[0, 0, 2:4, 6:8].mean()  # pixel (1, 3) at 8 px
    coarse = PICTURE[0, 0, 0:4, 4:8].mean()
    assert shown[0, 0, 1, 3] == 0.25 * fine + 0.75 * coarse
    assert shown.mean() == PICTURE.mean()


@pytest.mark.parametrize("resolution", [8, 16])
def test_nothing_jumps_at_a_border(resolution: int) -> None:
    before, after = resize_to(PICTURE, Stage(resolution // 2)), resize_to(PICTURE, Stage(resolution, 0.0))
    assert torch.equal(after, double(before))
    assert torch.equal(resize_to(after, Stage(resolution // 2)), before)


def test_images_read_at_the_stage_s_resolution_are_only_crossed() -> None:
    stage = Stage(8, 0.25)
    assert torch.equal(resize_to(halve(PICTURE), stage), resize_to(PICTURE, stage))


def test_a_stage_reaches_every_network_that_has_one() -> None:
    class Network(nn.Module):
        stage = Stage(16)

    class Player(nn.Module):
        stage = "a name of its own"

    networks, other = [Network(), Network()], Player()
    set_stage(nn.ModuleDict({"g": networks[0], "rest": nn.Sequential(networks[1], nn.ReLU(), other)}), Stage(8, 0.5))
    assert [network.stage for network in networks] == [Stage(8, 0.5)] * 2
    assert other.stage == "a name of its own"
