"""Standardising, fusing and deciding: what the critic may and may not do to a score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from semigan_pl.evaluation.calibration import Calibration, Decision, robust_scale
from semigan_pl.evaluation.metrics import auroc

FUSING = Decision(score="fused", search="search", critic="critic", margin=3.0, quantile=0.95)
ALONE = Decision(score="critic", search=None, critic=None, margin=3.0, quantile=0.95)
CALIBRATION = Calibration({"search": 10.0, "critic": -2.0}, {"search": 4.0, "critic": 0.5}, {})

floats = st.floats(-1e4, 1e4, width=32)
scored = st.lists(st.tuples(floats, floats), min_size=1, max_size=12)


def fuse(search: Tensor, critic: Tensor) -> Tensor:
    return FUSING.complete({"search": search, "critic": critic}, CALIBRATION)["fused"]


def columns(rows: list[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    search, critic = torch.tensor(rows).T
    return search, critic


@settings(max_examples=100, deadline=None)
@given(scored)
def test_the_critic_may_raise_a_score_and_never_lower_it(rows: list[tuple[float, float]]) -> None:
    search, critic = columns(rows)
    fused, floor = fuse(search, critic), CALIBRATION.standardised("search", search)
    assert (fused >= floor).all()
    unheard = CALIBRATION.standardised("critic", critic) <= FUSING.margin
    assert torch.equal(fused[unheard], floor[unheard])


@settings(max_examples=100, deadline=None)
@given(scored, st.integers(0, 11), st.floats(0, 1e5, width=32))
def test_lowering_the_critic_of_one_image_concerns_that_image_alone(
    rows: list[tuple[float, float]], place: int, lower: float
) -> None:
    search, critic = columns(rows)
    place %= len(rows)
    changed = critic.clone()
    changed[place] -= lower
    before, after = fuse(search, critic), fuse(search, changed)
    others = torch.arange(len(rows)) != place
    assert torch.equal(before[others], after[others])
    assert CALIBRATION.standardised("search", search)[place] <= after[place] <= before[place]


def test_fused_by_hand() -> None:
    fused = fuse(torch.tensor([10.0, 14.0, 6.0]), torch.tensor([-2.0, 0.0, -0.4]))
    torch.testing.assert_close(fused, torch.tensor([0.0, 1.0 + (4.0 - 3.0), -1.0 + (3.2 - 3.0)]))


def test_the_critic_pulls_with_slope_one_over_its_scale_beyond_the_margin() -> None:
    critic = torch.tensor([-2.0, 0.0], requires_grad=True)
    fuse(torch.zeros(2), critic).sum().backward()
    assert critic.grad is not None
    assert critic.grad.tolist() == [0.0, 2.0]


def test_without_fusion_or_calibration_terms_stay_as_they_are() -> None:
    terms = {"search": torch.arange(3.0), "critic": torch.ones(3)}
    assert list(FUSING.complete(terms, None)) == ["search", "critic"]
    assert list(ALONE.complete(terms, CALIBRATION)) == ["search", "critic"]


KINDS = ("scratch", "crack", "dent", "stain", "hole")


def images_of(kind: str, n: int, hidden: str, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Search scores 1.5 deviations up for any anomaly; a critic perfect on shown kinds, wrong on the hidden one."""
    verdict = -10.0 if kind == "normal" else -14.0 if kind == hidden else 10.0
    found = 100.0 if kind == "normal" else 107.5
    return {"search": random.normal(found, 5.0, n), "critic": random.normal(verdict, 2.0, n)}


def join(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("hidden", KINDS)
def test_a_kind_that_was_never_shown_is_still_found(hidden: str) -> None:
    random = np.random.default_rng(KINDS.index(hidden))

    def draw(kind: str, n: int) -> dict[str, np.ndarray]:
        return images_of(kind, n, hidden, random)

    shown = [kind for kind in KINDS if kind != hidden]
    # the pool is secretly contaminated by a tenth, with every kind; the known anomalies are of shown kinds
    validation = join([draw("normal", 450), *(draw(k, 10) for k in KINDS), *(draw(k, 12) for k in shown)])
    calibration = FUSING.calibrate(validation, np.repeat([0, 1], [500, 48]))
    areas = areas_by_kind(draw, calibration)
    assert areas["critic"][hidden] < 0.2
    assert areas["fused"][hidden] > 0.8
    assert areas["fused"][hidden] == pytest.approx(areas["search"][hidden], abs=0.01)
    for kind in shown:
        assert areas["critic"][kind] > 0.99
        assert areas["fused"][kind] > 0.97
        assert areas["search"][kind] < 0.93


def areas_by_kind(
    draw: Callable[[str, int], dict[str, np.ndarray]], calibration: Calibration
) -> dict[str, dict[str, float]]:
    """AUROC of every term, for each kind of anomaly against the normal images."""
    tests = {kind: draw(kind, 400) for kind in ("normal", *KINDS)}
    complete = {
        kind: FUSING.complete({name: torch.from_numpy(values) for name, values in terms.items()}, calibration)
        for kind, terms in tests.items()
    }
    labels = np.repeat([0, 1], 400)
    return {
        name: {
            kind: auroc(labels, torch.cat([complete["normal"][name], complete[kind][name]]).numpy()) or 0.0
            for kind in KINDS
        }
        for name in ("search", "critic", "fused")
    }


def test_robust_scale_of_normal_scores_is_their_deviation() -> None:
    values = np.random.default_rng(0).normal(7.0, 3.0, 20_001)
    assert robust_scale(values) == pytest.approx(3.0, rel=0.03)
    assert robust_scale(values * 1e6 + 1e8) == pytest.approx(robust_scale(values) * 1e6, rel=1e-9)


def test_robust_scale_is_deaf_to_a_tenth_of_contamination() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    contaminated = values.copy()
    contaminated[:200] = 1e6
    assert robust_scale(contaminated) == pytest.approx(robust_scale(values), rel=0.25)
    assert contaminated.std() > 1e5


def test_robust_scale_of_mostly_equal_scores() -> None:
    mostly = np.array([2.0] * 8 + [5.0])
    assert robust_scale(mostly) == pytest.approx(mostly.std())
    assert robust_scale(np.full(9, 2.0)) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_robust_scale_of_equal_scores_is_one(dtype: type) -> None:
    assert robust_scale(np.full(100, 0.1, dtype=dtype)) == 1.0


def test_calibration_reads_the_pool_alone() -> None:
    search = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 900.0])
    labels = np.array([0, 0, 0, 0, 0, 1])
    calibration = FUSING.calibrate({"search": search, "critic": -search}, labels)
    assert calibration.centers == {"search": 3.0, "critic": -3.0}
    assert calibration.scales == {"search": pytest.approx(1.4826), "critic": pytest.approx(1.4826)}
    assert calibration.thresholds["search"] == pytest.approx((5 + 900) / 2)
    assert calibration.thresholds["fused"] == pytest.approx(((5 - 3) + (900 - 3)) / 2 / 1.4826)
    assert set(calibration.thresholds) == {"search", "critic", "fused"}


def test_calibration_makes_a_round_trip_through_plain_numbers() -> None:
    search = np.random.default_rng(0).normal(size=50).astype(np.float32)
    calibration = FUSING.calibrate({"search": search, "critic": search}, np.arange(50) % 5 == 0)
    for scale in (None, 0.5):
        state = calibration._replace(map_scale=scale).state()
        assert type(state) is dict
        assert state.pop("map_scale") == scale
        assert all(type(number) is float for numbers in state.values() for number in numbers.values())
        assert Calibration(**state, map_scale=scale) == calibration._replace(map_scale=scale)
        assert Calibration(**state) == calibration  # as checkpoints without a scale have it


def test_a_pool_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.validation_share"):
        ALONE.calibrate({"critic": np.ones(3)}, np.ones(3, dtype=np.int64))


@pytest.mark.parametrize("option", ["score", "search", "critic"])
def test_a_term_that_the_method_lacks_is_refused(option: str) -> None:
    named = {"score": "critic", "search": "critic", "critic": "critic"} | {option: "magic"}
    with pytest.raises(ValueError, match=rf"model\.decision\.{option}=magic .*critic"):
        Decision(**named, margin=3.0, quantile=0.95).check(("critic",))


def test_fused_needs_what_it_is_made_of() -> None:
    FUSING.check(("search", "critic"))
    with pytest.raises(ValueError, match="fused"):
        Decision("fused", None, "critic", 3.0, 0.95).check(("search", "critic"))
