"""+sweep=recommend: pilots, estimate, gammas, choice, and what is left behind."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from semigan_pl.evaluation.contamination import estimate_contamination
from semigan_pl.evaluation.delong import ranked
from semigan_pl.tasks import fit
from semigan_pl.tasks.settle import settle
from tests.commands import SMALL, Run, call

JOBS = Path("multirun/digits")
HIDDEN, POOL = 0.2, 500
BRIEF = ["seed=0,1", "hydra.sweeper.fractions=[]"]


def plateau(gamma: float, seed: int) -> float:
    """Validation as theory has it: flat up to 1 - contamination, worse above."""
    return round(0.9 - 0.3 * max(0.0, gamma - (1 - HIDDEN)) + 0.01 * seed, 6)


class FakeFit:
    """Leaves the files of a run in no time: an objective, and scores that separate as far as `apart` says."""

    def __init__(self) -> None:
        self.objective: Callable[[float, int], float | None] = plateau
        self.apart, self.n_known = 8.0, 50
        self.called: list[tuple[float, int]] = []
        self.troubles: set[tuple[float, int]] = set()

    def scores(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        chance = np.random.default_rng(seed)
        hidden = round(HIDDEN * POOL)
        pool = np.concatenate([chance.normal(size=POOL - hidden), chance.normal(self.apart, 1, hidden)])
        return pool, chance.normal(self.apart, 1, self.n_known)

    def __call__(self, config: DictConfig) -> float | None:
        config, typed = settle(config)
        job = config.model.gamma, config.seed
        self.called.append(job)
        if job in self.troubles:
            raise ValueError("odd: try again")
        folder, objective = Path(config.run), self.objective(*job)
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        OmegaConf.save(OmegaConf.create(typed), folder / ".hydra" / "overrides.yaml")
        with (folder / "validation.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "path", "kind", "score"])
            for kind, scores in zip(("pool", "known"), self.scores(config.seed), strict=True):
                writer.writerows((0, "path", kind, score) for score in scores.tolist())
        (folder / "metrics.json").write_text(json.dumps({"objective": objective}))
        return objective


@pytest.fixture
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    fake = FakeFit()
    monkeypatch.setattr(fit, "fit", fake)
    return fake


def recommend(cwd: Path, *typed: str) -> Run:
    return call(cwd, "-m", "+sweep=recommend", *typed)


def result(cwd: Path, name: str = "recommendation") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((cwd / JOBS / name / "recommendation.json").read_text())
    return content


def test_pilots_estimate_gammas_choice_and_a_second_start(fake_fit: FakeFit, tmp_path: Path) -> None:
    first = recommend(tmp_path, "seed=0,1,2", "hydra.sweeper.fractions=[0.75]")
    assert (first.returncode, first.stderr) == (0, "")
    assert fake_fit.called[:3] == [(0.5, seed) for seed in (0, 1, 2)]
    found = result(tmp_path)
    shares = [estimate_contamination(*fake_fit.scores(seed), 0.98).share for seed in (0, 1, 2)]
    assert found["contamination"]["value"] == pytest.approx(np.mean([share.value for share in shares]))
    assert found["contamination"]["high"] == pytest.approx(np.mean([share.high for share in shares]))
    assert [pilot["share"]["value"] for pilot in found["pilots"]] == [share.value for share in shares]
    assert found["contamination"]["value"] == pytest.approx(HIDDEN, abs=0.03)
    gammas = [row["gamma"] for row in found["gammas"]]
    assert fake_fit.called[3:] == [(gamma, seed) for gamma in gammas if gamma != 0.5 for seed in (0, 1, 2)]
    assert gammas[0] == 1
    assert {0.5, found["gamma"]} <= set(gammas)
    edge = 1 - found["contamination"]["value"]
    assert found["gamma"] == max(gamma for gamma in gammas if gamma <= edge)  # the edge of the plateau
    assert [row["by_seed"] for row in found["gammas"]] == [
        [plateau(gamma, seed) for seed in (0, 1, 2)] for gamma in gammas
    ]
    assert found["tolerance"] == pytest.approx(0.01 / np.sqrt(3))
    assert f"Chosen: gamma {found['gamma']:g}, val/auroc" in first.stdout
    assert f"To train with it: python run.py seed=0 model.gamma={found['gamma']:g}\n" in first.stdout
    assert found["command"] in first.stdout
    assert [Path(folder).name for folder in found["trained"]] == [
        f"model.gamma={found['gamma']:g},seed={seed}" for seed in (0, 1, 2)
    ]
    folder = tmp_path / JOBS / "recommendation"
    assert (folder / "recommendation.md").read_text().startswith(f"# gamma = {found['gamma']:g}\n")
    assert (folder / "recommendation.png").read_bytes().startswith(b"\x89PNG")

    n_done = len(fake_fit.called)
    second = recommend(tmp_path, "seed=0,1,2", "hydra.sweeper.fractions=[0.75]")
    assert second.returncode == 0
    assert len(fake_fit.called) == n_done  # all of it is finished
    assert result(tmp_path) == found


def test_jobs_are_shared_with_other_sweeps(fake_fit: FakeFit, tmp_path: Path) -> None:
    assert call(tmp_path, "-m", "model.gamma=1,0.5", "seed=0").returncode == 0
    assert recommend(tmp_path, "seed=0").returncode == 0
    assert fake_fit.called.count((0.5, 0)) == fake_fit.called.count((1.0, 0)) == 1


def test_one_seed_is_as_sure_as_its_validation_images(fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.apart = 3.0
    assert recommend(tmp_path, "seed=4").returncode == 0
    pool, known = fake_fit.scores(4)
    area = ranked(np.arange(POOL + 50), np.repeat([0, 1], [POOL, 50]), np.concatenate([pool, known]))
    assert area is not None
    assert result(tmp_path)["tolerance"] == pytest.approx(np.sqrt(np.sum(area.influence**2)))
    assert result(tmp_path)["command"] == shlex.join(
        ["python", "run.py", "seed=4", f"model.gamma={result(tmp_path)['gamma']:g}"]
    )


def test_settings_of_the_sweep_are_typed_like_any_other(fake_fit: FakeFit, tmp_path: Path) -> None:
    typed = ["seed=0", "hydra.sweeper.pilot=0.6", "hydra.sweeper.fractions=[0.3]", "data.contamination=0.05"]
    assert recommend(tmp_path, *typed).returncode == 0
    found = result(tmp_path, "recommendation,data.contamination=0.05")  # another question than without it
    assert fake_fit.called[0] == (0.6, 0)
    assert [row["gamma"] for row in found["gammas"]][-1] == int(30 * (1 - found["contamination"]["value"])) / 100
    assert found["command"].startswith("python run.py data.contamination=0.05 seed=0 model.gamma=")


def test_scores_that_tell_nothing_are_called_so_and_validation_decides(fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.apart, fake_fit.n_known = 0.1, 12
    fake_fit.objective = lambda gamma, seed: 0.8 if gamma == 0.75 else 0.5
    outcome = recommend(tmp_path, "seed=0,1")
    assert outcome.returncode == 0
    assert "Contamination: it cannot be told from these scores" in outcome.stdout
    assert "Only 12 known anomalies are held out" in outcome.stdout
    found = result(tmp_path)
    assert not found["contamination"]["informative"]
    assert [row["gamma"] for row in found["gammas"]] == [1, 0.75, 0.5]
    assert found["gamma"] == 0.75


def test_a_failed_pilot_ends_it_and_a_second_start_goes_on(fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.troubles = {(0.5, 1)}
    outcome = recommend(tmp_path, *BRIEF)
    assert outcome.returncode == 1
    assert outcome.stderr.endswith(
        "error: no recommendation: 1 of 2 pilot runs failed, as listed, and without them the contamination cannot be"
        " estimated"
    )
    assert "odd: try again (multirun/digits/model.gamma=0.5,seed=1)" in outcome.stderr
    assert len(fake_fit.called) == 2
    fake_fit.troubles = set()
    assert recommend(tmp_path, *BRIEF).returncode == 0
    assert fake_fit.called[2] == (0.5, 1)


def test_a_gamma_with_a_failed_job_is_not_compared(fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.troubles = {(1.0, 1)}
    fake_fit.objective = lambda gamma, seed: gamma
    outcome = recommend(tmp_path, *BRIEF)
    assert outcome.returncode == 1
    assert "Not compared, since jobs failed: gamma 1. The same command tries them again." in outcome.stdout
    found = result(tmp_path)
    assert found["missing"] == [1]
    assert (found["gammas"][0]["mean"], found["gammas"][0]["by_seed"]) == (None, [1, None])
    fake_fit.troubles = set()
    assert recommend(tmp_path, *BRIEF).returncode == 0
    assert result(tmp_path)["missing"] == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model.gamma=0.3"], "model.gamma is what +sweep=recommend looks for: leave it out"),
        (["data.contamination=0,0.1"], "data.contamination=0,0.1 is swept: +sweep=recommend compares gammas under one"),
        (["model=cop"], "model=cop has no gamma"),
        (["model=vae"], "model=vae has no gamma"),
        (["data.known_anomalies=0"], "data.known_anomalies=0: without known anomalies there is only gamma=1"),
        (["task=check"], "+sweep=recommend trains: leave out task=check"),
        (["hydra.sweeper.pilot=1"], "hydra.sweeper.pilot=1 must lie in (0, 1)"),
        (["hydra.sweeper.fractions=[2]"], "hydra.sweeper.fractions=2 must lie in (0, 1)"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_runs(
    typed: list[str], said: str, fake_fit: FakeFit, tmp_path: Path
) -> None:
    outcome = recommend(tmp_path, *typed)
    assert outcome.returncode == 1
    assert said in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not fake_fit.called


def test_without_held_out_known_anomalies_there_is_no_estimate(fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.n_known, fake_fit.objective = 0, lambda gamma, seed: None
    outcome = recommend(tmp_path, "seed=0")
    assert outcome.returncode == 1
    assert "validation holds no known anomaly, raise data.known_anomalies or data.validation_share" in outcome.stderr


def test_a_run_without_validation_scores_says_what_to_do(fake_fit: FakeFit, tmp_path: Path) -> None:
    assert call(tmp_path, "-m", "model.gamma=0.5", "seed=0").returncode == 0
    (tmp_path / JOBS / "model.gamma=0.5,seed=0" / "validation.csv").unlink()
    outcome = recommend(tmp_path, "seed=0")
    assert outcome.returncode == 1
    assert "validation.csv is missing, an earlier version has made this run: remove its folder" in outcome.stderr


def test_on_digits_for_real(tmp_path: Path) -> None:
    outcome = recommend(tmp_path, *SMALL, "max_images=320", "seed=0", "hydra.sweeper.fractions=[]")
    assert outcome.returncode == 0, outcome.stderr
    (file,) = (tmp_path / JOBS).glob("recommendation*/recommendation.json")
    found = json.loads(file.read_text())
    for row in found["gammas"]:
        (metrics,) = (tmp_path / JOBS).glob(f"*model.gamma={row['gamma']:g},*/metrics.json")
        assert json.loads(metrics.read_text())["val/auroc"] == row["mean"] == row["by_seed"][0]
    (pilot,) = found["pilots"]
    assert (pilot["n_pool"], pilot["n_known"]) == (16, 5)
