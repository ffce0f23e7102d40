"""What tells runs apart, what is drawn over what, and which setting is held against which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semigan_pl.evaluation.intervals import paired_t
from semigan_pl.report.sweep_axes import axes_of
from semigan_pl.report.sweep_curves import evenly, read_all_scores
from semigan_pl.report.sweep_files import SweepRun, find_runs, read_sweep
from semigan_pl.report.sweep_settings import Settings, settings_of
from semigan_pl.report.sweep_statistics import all_tests, estimates, metrics_of, natural_references
from tests.report.sweep_runs import SEEDS, make_run, make_sweep


def read(folder: Path) -> tuple[list[SweepRun], Settings]:
    runs = read_sweep(find_runs([str(folder)]))
    return runs, settings_of(runs)


def test_settings_are_told_apart_by_what_matters(tmp_path: Path) -> None:
    runs, settings = read(make_sweep(tmp_path))
    assert [factor.key for factor in settings.factors] == ["data.contamination", "model.gamma"]
    assert [group.values for group in settings.groups] == [(c, g) for c in (0, 0.2) for g in (0.5, 0.7, 1.0)]
    assert {group.seeds for group in settings.groups} == {("0", "1", "2")}
    assert settings.differing == {
        "data.contamination": {"0": 9, "0.2": 9},
        "model.gamma": {"0.5": 6, "0.7": 6, "1": 6},
    }
    assert settings.label(settings.groups[0]) == "contamination 0, gamma 0.5"
    assert all(not runs[run].trouble for group in settings.groups for run in group.runs)


def test_an_option_that_goes_with_another_splits_nothing(tmp_path: Path) -> None:
    for gamma in (1, 0.5):
        make_run(tmp_path / f"a{gamma}", gamma, network={"size": f"s{gamma}", "extra": 1})
    make_run(tmp_path / "b", 0.5, seed=1, network={"size": "s0.5"})  # without `extra`: of an earlier version
    _, settings = read(tmp_path)
    assert [factor.key for factor in settings.factors] == ["model.gamma"]
    assert [group.seeds for group in settings.groups] == [("0", "1"), ("0",)]
    assert "network.size" in settings.differing


def test_of_repeated_runs_the_later_counts(tmp_path: Path) -> None:
    make_run(tmp_path / "2026-01-01")
    make_run(tmp_path / "2026-01-02")
    runs, settings = read(tmp_path)
    assert settings.repeated == {0: 1}
    assert settings.groups[0].runs == (1,)
    assert settings.label(settings.groups[0]) == "all runs"
    assert axes_of(settings) is None
    assert len(runs) == 2


def test_axes_are_gamma_and_contamination_where_both_vary(tmp_path: Path) -> None:
    _, settings = read(make_sweep(tmp_path / "both"))
    axes = axes_of(settings)
    assert axes is not None
    assert [settings.factors[place].key for place in (axes.x, axes.line or 0)] == ["model.gamma", "data.contamination"]
    assert axes.panels == {"all runs": [0, 1, 2, 3, 4, 5]}
    _, settings = read(make_sweep(tmp_path / "one", gammas=[0.5]))
    axes = axes_of(settings)
    assert axes is not None
    assert (settings.factors[axes.x].key, axes.line) == ("data.contamination", None)


def test_data_of_the_same_name_is_the_same_unless_that_makes_one_run_of_two(tmp_path: Path) -> None:
    here, there, other = ({"name": "folder", "root": f"/{place}/images"} for place in ("here", "there", "other"))
    make_run(tmp_path / "a", data=here, seed=0)
    make_run(tmp_path / "b", data=there, seed=1)
    assert [group.seeds for group in read(tmp_path)[1].groups] == [("0", "1")]
    make_run(tmp_path / "c", data=other, seed=0)
    _, settings = read(tmp_path)
    assert settings.repeated == {}
    assert sorted(group.values for group in settings.groups) == [(one["root"],) for one in (here, other, there)]


def test_what_a_run_builds_on_is_a_setting(tmp_path: Path) -> None:
    for gan in ("wide", "narrow"):
        for seed in (0, 1):
            model = {"name": "fanogan", "gamma": 1, "gan_checkpoint": f"multirun/{gan},seed={seed}/last.ckpt"}
            make_run(tmp_path / f"{gan}{seed}", model=model, seed=seed, checkpoint="last" if seed else None)
    _, settings = read(tmp_path)
    assert [factor.key for factor in settings.factors] == ["model.gan_checkpoint"]
    assert [group.seeds for group in settings.groups] == [("0", "1"), ("0", "1")]


def test_words_are_no_axis(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / name, loss={"_target_": f"losses.{name}"})
    _, settings = read(tmp_path)
    assert [settings.label(group) for group in settings.groups] == ["a", "b"]
    assert axes_of(settings) is None
    assert natural_references(settings) == [None, None]  # which of two words comes first says nothing


def test_each_setting_is_held_against_the_largest_gamma(tmp_path: Path) -> None:
    runs, settings = read(make_sweep(tmp_path))
    assert natural_references(settings) == [2, 2, None, 5, 5, None]
    scored = read_all_scores(runs, settings)
    assert list(metrics_of(runs, settings)) == ["test/auroc", "test/f1", "val/auroc", "test/auroc_fused"]
    tests = all_tests(runs, settings, ["test/auroc"], scored.rankings)
    assert set(tests) == {"own", "0", "1", "2", "3", "4", "5"}
    values = [[runs[run].number("test/auroc") or 0.0 for run in settings.groups[place].runs] for place in (0, 1, 2)]
    expected = [paired_t(values[place], values[2], 0.95) for place in (0, 1)]
    found = [tests["own"].over_seeds["test/auroc"][place] for place in (0, 1)]
    assert [one.difference for one in found if one] == expected
    smaller, larger = sorted(one.p or 0.0 for one in expected)
    adjusted = sorted(one.p_adjusted or 0.0 for one in found if one)
    assert adjusted == pytest.approx([min(1, 2 * smaller), max(min(1, 2 * smaller), larger)])  # of two, not of four
    over_images = tests["own"].over_images[0]
    assert over_images is not None
    assert (over_images.difference.n, over_images.difference.mean) == (60, pytest.approx(expected[0].mean))


def test_intervals_end_where_metrics_end(tmp_path: Path) -> None:
    runs, settings = read(make_sweep(tmp_path, gammas=[1.0], contaminations=[0], seeds=[0, 1]))
    (found,) = estimates(runs, settings, "test/f1")  # 0.5 and 0.6: 0.55 -+ 0.64
    assert found is not None
    assert (found.mean, found.low, found.high) == (pytest.approx(0.55), 0.0, 1.0)


def test_curves_are_of_the_median_run(tmp_path: Path) -> None:
    runs, settings = read(make_sweep(tmp_path))
    (tmp_path / f"model.gamma=1.0,c=0,seed={SEEDS[0]}" / "scores.csv").unlink()
    scored = read_all_scores(runs, settings)
    (missing,) = scored.notes
    assert runs[missing].folder.name == "model.gamma=1.0,c=0,seed=0"
    assert missing not in scored.rankings
    aurocs = {run: scored.rankings[run].auroc for run in settings.groups[0].runs}
    assert aurocs[scored.curves[0].run] == sorted(aurocs.values())[1]
    assert sum(scored.curves[0].normal) == pytest.approx(1.0)
    assert (scored.curves[0].false_alarms[-1], scored.curves[0].found[-1]) == (1.0, 1.0)


def test_few_points_keep_a_curve() -> None:
    x = np.linspace(0, 1, 5000) ** 3
    places = evenly(x, np.sqrt(x))
    assert (places[0], places[-1], len(places) <= 120) == (0, 4999, True)
    assert np.max(np.hypot(np.diff(x[places]), np.diff(np.sqrt(x)[places]))) < 0.02
