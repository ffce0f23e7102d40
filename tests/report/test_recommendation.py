"""The words of a recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from semigan_pl.evaluation.contamination import Contamination, Share
from semigan_pl.evaluation.gamma_choice import Measured, choose
from semigan_pl.report.recommendation import HeldOut, Recommendation, as_markdown, summary

SHARE = Share(0.1, 0.05, 0.17)


def recommendation(means: dict[float, float]) -> Recommendation:
    measured = {gamma: Measured(mean, 0.01) for gamma, mean in means.items()}
    return Recommendation(
        objective="val/auroc",
        seeds=["0"],
        level=0.98,
        pilot=0.5,
        held_out=[HeldOut(np.zeros(3), np.ones(2))],
        estimates=[Contamination(SHARE, 0.5, 0.9, 600, 50)],
        contamination=SHARE,
        objectives={gamma: [mean] for gamma, mean in means.items()},
        measured=measured,
        choice=choose(measured, SHARE),
        trained=["a/folder"],
        command="python run.py model.gamma=0.5",
    )


@pytest.mark.parametrize(("of_the_smallest", "said"), [(0.99, True), (0.7, False)])
def test_a_choice_at_the_end_of_the_range_says_how_to_look_further(of_the_smallest: float, said: bool) -> None:
    found = recommendation({1.0: 0.8, 0.9: 0.9, 0.5: of_the_smallest})
    for text in (as_markdown(found), "\n".join(summary(found))):
        assert ("hydra.sweeper.fractions=" in text) is said
