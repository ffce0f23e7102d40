"""Which gammas are tried, and which is taken."""

from __future__ import annotations

import pytest

from semigan_pl.evaluation.contamination import Share
from semigan_pl.evaluation.gamma_choice import Measured, ceiling, choose, proposed_gammas

TENTH = Share(0.1, 0.05, 0.17)
UNKNOWN = Share(0.3, 0.1, 0.9)


@pytest.mark.parametrize(
    ("contamination", "pilot", "fractions", "apart", "expected"),
    [
        (TENTH, 0.5, [0.75, 0.5], 0.05, [1, 0.9, 0.83, 0.67, 0.5]),  # 0.45 is the pilot's
        (TENTH, 0.5, [0.75, 0.5], 0.06, [1, 0.9, 0.83, 0.67, 0.5]),
        (TENTH, 0.5, [0.75, 0.5], 0.08, [1, 0.9, 0.67, 0.5]),  # the bound is too close to the estimate
        (TENTH, 0.5, [0.75, 0.5], 0.04, [1, 0.9, 0.83, 0.67, 0.5, 0.45]),
        (TENTH, 0.95, [0.5], 0.06, [1, 0.95, 0.9, 0.83, 0.45]),  # a pilot above 1 - estimate replaces nothing
        (Share(0.0, 0.0, 0.02), 0.5, [0.75], 0.05, [1, 0.75, 0.5]),
        (Share(0.03, 0.0, 0.1), 0.5, [], 0.05, [1, 0.97, 0.9, 0.5]),  # 1 ignores known anomalies, 0.97 does not
        (Share(0.45, 0.4, 0.49), 0.5, [0.75, 0.5], 0.05, [1, 0.5, 0.41, 0.27]),
        (UNKNOWN, 0.5, [0.75, 0.5], 0.05, [1, 0.75, 0.5]),
        (Share(0.1, 0.0, 0.2), 0.5, [0.001], 0.05, [1, 0.9, 0.8, 0.5]),  # no gamma is 0
    ],
)
def test_gammas_to_try(
    contamination: Share, pilot: float, fractions: list[float], apart: float, expected: list[float]
) -> None:
    assert proposed_gammas(contamination, pilot, fractions, apart) == expected


def test_every_proposal_but_the_reference_and_the_pilot_removes_the_estimate() -> None:
    for hundredth in range(50):
        contamination = Share(hundredth / 100 + 0.003, 0.0, 0.499)
        gammas = proposed_gammas(contamination, 0.3, [0.75, 0.5], 0.0)
        assert all(gamma <= 1 - contamination.value for gamma in gammas[1:])


@pytest.mark.parametrize(
    ("means", "error", "contamination", "gamma", "best", "reason"),
    [
        # a plateau: its edge, however the noise falls
        ({1: 0.8, 0.9: 0.95, 0.7: 0.951, 0.5: 0.955}, 0.01, TENTH, 0.9, 0.5, "within one standard error of the best"),
        # no plateau: smaller is better
        ({1: 0.8, 0.9: 0.9, 0.7: 0.95, 0.5: 0.99}, 0.01, TENTH, 0.5, 0.5, "the best on validation, and the largest"),
        # nothing is gained by known anomalies: below 1 - estimate all the same, where it costs nothing
        ({1: 0.9, 0.9: 0.895, 0.5: 0.7}, 0.01, TENTH, 0.9, 1, "of the best, gamma 1"),
        # known anomalies do harm: validation contradicts the estimate
        ({1: 0.9, 0.9: 0.8, 0.5: 0.7}, 0.01, TENTH, 1, 1, "though above 1 - 0.100: none below comes near"),
        # no estimate, no edge
        ({1: 0.9, 0.75: 0.9, 0.5: 0.9}, 0.0, UNKNOWN, 1, 1, "the largest that was tried"),
        ({1: 0.7, 0.75: 0.9, 0.5: 0.9}, 0.0, UNKNOWN, 0.75, 0.75, "the largest that was tried"),
    ],
)
def test_choice(
    means: dict[float, float], error: float, contamination: Share, gamma: float, best: float, reason: str
) -> None:
    found = choose({of: Measured(mean, error) for of, mean in means.items()}, contamination)
    assert (found.gamma, found.best, found.tolerance) == (gamma, best, error)
    assert reason in found.reason


def test_the_tolerance_is_the_error_of_the_best() -> None:
    measured = {0.9: Measured(0.90, 0.5), 0.7: Measured(0.96, 0.1), 0.5: Measured(0.99, 0.04)}
    assert choose(measured, TENTH).gamma == 0.7


def test_the_ceiling() -> None:
    assert ceiling(TENTH) == 0.9
    assert ceiling(UNKNOWN) == 1


@pytest.mark.parametrize(
    ("means", "smallest"),
    [
        ({1: 0.8, 0.9: 0.9, 0.5: 0.99}, True),
        ({1: 0.8, 0.9: 0.99, 0.5: 0.99}, False),
        ({1: 0.99}, False),  # nothing was compared
    ],
)
def test_a_choice_at_the_end_of_what_was_tried_is_marked(means: dict[float, float], smallest: bool) -> None:
    found = choose({of: Measured(mean, 0.01) for of, mean in means.items()}, TENTH)
    assert found.is_smallest is smallest
