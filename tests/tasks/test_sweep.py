"""Multiruns: what is finished, what failed, what was stopped, and what shares a training."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from semigan_pl.atomic import write_json
from semigan_pl.callbacks.checkpoint import PeriodicCheckpoint
from semigan_pl.tasks import check, fit, multirun
from semigan_pl.tasks.multirun import Note
from semigan_pl.tasks.settle import settle
from semigan_pl.tasks.sweep import FAILURE
from tests.commands import SMALL, call, scores

JOBS = Path("multirun/digits")
SHORT = [*SMALL, "max_images=640"]


class FakeFit:
    """Leaves the files of a run in no time; of some seeds it makes nothing good."""

    def __init__(self) -> None:
        self.troubles: dict[int, BaseException] = {}
        self.called: list[int] = []

    def __call__(self, config: DictConfig) -> float:
        config, typed = settle(config)
        self.called.append(config.seed)
        if config.seed in self.troubles:
            raise self.troubles[config.seed]
        folder = Path(config.run)
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        OmegaConf.save(OmegaConf.create(typed), folder / ".hydra" / "overrides.yaml")
        (folder / "metrics.json").write_text(json.dumps({"objective": config.seed / 10}))
        return float(config.seed / 10)


@pytest.fixture
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    fake = FakeFit()
    monkeypatch.setattr(fit, "fit", fake)
    return fake


def test_what_failed_is_listed_kept_and_tried_again_and_what_is_finished_is_not(
    fake_fit: FakeFit, tmp_path: Path
) -> None:
    fake_fit.troubles = {1: ValueError("seed=1 is odd: take another"), 2: KeyError("a bug")}
    result = call(tmp_path, "-m", "seed=0,1,2,3")
    assert fake_fit.called == [0, 1, 2, 3]
    assert result.returncode == 1
    at_once, _, end = result.stderr.partition("\nFailed, and tried again by the same command:\n")
    assert at_once.splitlines() == [
        "error: seed=1 is odd: take another (multirun/digits/seed=1)",
        "error: KeyError: 'a bug' (multirun/digits/seed=2)",
    ]
    assert [f"error: {line.strip()}" for line in end.splitlines()] == at_once.splitlines()
    place = tmp_path / JOBS
    assert sorted(path.parent.name for path in place.rglob("metrics.json")) == ["seed=0", "seed=3"]
    assert (place / "seed=1" / FAILURE).read_text() == "seed=1 is odd: take another\n"
    crash = (place / "seed=2" / FAILURE).read_text()
    assert crash.startswith("KeyError: 'a bug'\n\nTraceback")  # nobody expected it: where it was is worth knowing
    assert not list(place.glob(".notes*"))

    del fake_fit.troubles[2]
    result = call(tmp_path, "-m", "seed=0,1,2,3")
    assert fake_fit.called[4:] == [1, 2]
    assert result.returncode == 1
    assert "[4 of 4] seed=3: finished earlier, val/auroc 0.3" in result.stdout
    assert "seed=2" not in result.stderr
    assert not (place / "seed=2" / FAILURE).exists()
    assert (place / "seed=1" / FAILURE).exists()

    fake_fit.troubles = {}
    result = call(tmp_path, "-m", "+sweep=seeds")  # the same jobs, by another name: 0, 1, 2
    assert (result.returncode, result.stderr) == (0, "")
    assert fake_fit.called[6:] == [1]


def test_a_failure_is_said_while_others_still_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multirun, "TICK", 0.01)

    def patient(config: DictConfig) -> None:
        listener = multirun.Multirun.begun
        assert listener is not None
        if config.seed == 0:
            note = Note("elsewhere", "odd", failed=True, seconds=1.0)
            write_json(listener.notes / "000007.json", note._asdict())  # as a job in another process does
        deadline = time.monotonic() + 30
        while not listener.told and time.monotonic() < deadline:
            time.sleep(0.01)
        told.extend(note.said for note in listener.told.values())

    told: list[str] = []
    monkeypatch.setattr(fit, "fit", patient)
    result = call(tmp_path, "-m", "seed=0,1")
    assert told[0] == "odd"
    assert result.stderr.startswith("error: odd (elsewhere)\n")


@pytest.mark.parametrize(
    ("typed", "n"),
    [
        (["seed=0,1,2"], 3),
        (["seed=range(4)", "model.gamma=1,0.5"], 8),
        (["+sweep=seeds", "model.gamma=1,0.5"], 6),
        (["+sweep=gamma", "model.gamma=0.4"], 1),  # what is typed takes the place of what the sweep varies
    ],
)
def test_it_is_said_how_many_there_are_and_when_they_end(
    typed: list[str], n: int, fake_fit: FakeFit, tmp_path: Path
) -> None:
    lines = call(tmp_path, "-m", *typed).stdout.splitlines()
    said = [line for line in lines if line.startswith("[") and " of " in line]
    assert [line.split("]")[0] for line in said] == [f"[{place} of {n}" for place in range(1, n + 1)]
    assert all(line.endswith(" to go") for line in said[:-1])
    assert "to go" not in said[-1]
    assert "val/auroc 0" in said[0]


def test_a_folder_of_another_run_stays_as_it_is(fake_fit: FakeFit, tmp_path: Path) -> None:
    assert call(tmp_path, "-m", "seed=0", "data.root=here").returncode == 0
    result = call(tmp_path, "-m", "seed=0", "data.root=there")  # paths are no part of a job's name
    assert result.returncode == 1
    assert "holds another run" in result.stderr
    assert not (tmp_path / JOBS / "seed=0" / FAILURE).exists()
    assert fake_fit.called == [0]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1)])  # Lightning makes the second of the first
def test_a_stopped_multirun_lists_what_failed_so_far(stop: BaseException, fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.troubles = {1: ValueError("odd"), 2: stop}
    result = call(tmp_path, "-m", "seed=0,1,2,3")
    assert fake_fit.called == [0, 1, 2]
    assert result.returncode != 0
    assert "odd (multirun/digits/seed=1)" in result.stderr.partition("Failed, and tried again")[2]
    assert not list((tmp_path / JOBS).glob(".notes*"))
    fake_fit.troubles = {}
    assert call(tmp_path, "-m", "seed=0,1,2,3").returncode == 0
    assert fake_fit.called[3:] == [1, 2, 3]


def test_a_damaged_marker_is_no_finished_run(fake_fit: FakeFit, tmp_path: Path) -> None:
    assert call(tmp_path, "-m", "seed=0").returncode == 0
    for content in ("{", "[1]", "{}"):
        (tmp_path / JOBS / "seed=0" / "metrics.json").write_text(content)
        assert call(tmp_path, "-m", "seed=0").returncode == 0
    assert fake_fit.called == [0, 0, 0, 0]


def test_long_overrides_and_slashes_name_one_folder(fake_fit: FakeFit, tmp_path: Path) -> None:
    many = [
        f"data.{name}=0.{'1' * 40}" for name in ("contamination", "validation_share", "outlier_share", "test_share")
    ]
    for _ in range(2):
        result = call(tmp_path, "-m", *many, "search/descent=lbfgs,adam", "seed=1")
        assert result.returncode == 0, result.stderr
    assert fake_fit.called == [1, 1]
    assert len(list((tmp_path / JOBS).glob("*/metrics.json"))) == 2


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_run_of_the_same_words_with_other_settings_is_left_alone(is_finished: bool, tmp_path: Path) -> None:
    typed = ["-m", *SHORT, "max_images=64", "seed=0"]
    assert call(tmp_path, *typed).returncode == 0
    (finished,) = (path.parent for path in (tmp_path / "multirun").rglob("metrics.json"))
    config = OmegaConf.load(finished / ".hydra" / "config.yaml")
    config.optimizer.generator.lr = 0.5  # as if a default had changed since
    OmegaConf.save(config, finished / ".hydra" / "config.yaml")
    if not is_finished:
        (finished / "metrics.json").unlink()
    result = call(tmp_path, *typed)
    assert result.returncode == 1
    assert "holds a run with other settings, optimizer.generator.lr=0.5, now 0.0" in result.stderr
    assert (finished / "metrics.json").is_file() == is_finished


def test_every_task_may_be_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(check, "check", lambda config: done.append(config.seed))
    for _ in range(2):  # they leave no marker: each time they are done
        assert call(tmp_path, "-m", "task=check", "seed=0,1").returncode == 0
    assert done == [0, 1, 0, 1]
    result = call(tmp_path, "-m", "task=dance", "seed=0")
    assert result.returncode == 1
    assert "task=dance is unknown" in result.stderr


def trained(folder: Path) -> dict[str, Any]:
    """What a training has made, and its curves."""
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    state = {name: value for name, value in content["state_dict"].items() if isinstance(value, torch.Tensor)}
    return {"state": state, "curves": [{k: v for k, v in row.items() if k.startswith("train/")} for row in rows]}


def same(one: Path, other: Path) -> None:
    """Raises AssertionError unless two runs trained and scored alike, bit by bit."""
    before, after = trained(one), trained(other)
    assert before["state"].keys() == after["state"].keys()
    for name, value in before["state"].items():
        assert torch.equal(value, after["state"][name]), name
    assert before["curves"] == after["curves"]
    expected, found = scores(one), scores(other)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert np.array_equal(values, found[name]), name


@pytest.mark.parametrize(
    ("typed", "varied"),
    [
        ([], "search.lambda_=0.1,0.3"),
        (["model=semigan", "encoding=izi"], "search.start=encoder,best"),
        (["model=fanogan"], "model.decision.score=residual,critic"),
        (["+experiment=progressive_digits", "network_sizes.small.fmap_max=8"], "search.lambda_=0.1,0.3"),
    ],
    ids=["search", "encoder", "decision", "growing"],
)
def test_jobs_that_share_a_training_score_as_if_trained_themselves(
    typed: list[str], varied: str, tmp_path: Path
) -> None:
    result = call(tmp_path, "-m", *SHORT, *typed, varied)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("takes over the training of") == 1
    option, _, values = varied.partition("=")
    last = f"{option}={values.split(',')[1]}"
    (shared,) = (path.parent for path in (tmp_path / "multirun").rglob("metrics.json") if last in path.parent.name)
    alone = call(tmp_path, *SHORT, *typed, last, "run=alone")
    assert alone.returncode == 0, alone.stderr
    same(shared, tmp_path / "alone")
    names = [sorted(path.name for path in (folder / "figures").iterdir()) for folder in (shared, tmp_path / "alone")]
    assert names[0] == names[1]


def test_a_stopped_job_goes_on_with_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = PeriodicCheckpoint.on_train_batch_end

    def stop(self: PeriodicCheckpoint, trainer: Any, module: Any, *others: Any) -> None:
        go_on(self, trainer, module, *others)
        if module.images_seen == 320 and module.gamma == 0.5:
            raise KeyboardInterrupt

    typed = ["-m", *SHORT, "callbacks.checkpoint.images=160", "model.gamma=1,0.5"]
    with monkeypatch.context() as patch:
        patch.setattr(PeriodicCheckpoint, "on_train_batch_end", stop)
        result = call(tmp_path, *typed)
    assert result.returncode != 0
    assert "To continue: the same command" in result.stderr
    (finished,) = (path.parent for path in (tmp_path / "multirun").rglob("metrics.json"))
    assert "model.gamma=1" in finished.name
    before = (finished / "metrics.json").stat().st_mtime_ns
    seen = []
    monkeypatch.setattr(PeriodicCheckpoint, "on_train_batch_end", lambda self, t, m, *_: seen.append(m.images_seen))
    result = call(tmp_path, *typed)
    assert result.returncode == 0, result.stderr
    assert seen == list(range(352, 641, 32))
    assert (finished / "metrics.json").stat().st_mtime_ns == before
    stopped = finished.parent / finished.name.replace("model.gamma=1", "model.gamma=0.5")
    monkeypatch.undo()
    alone = call(tmp_path, *SHORT, "callbacks.checkpoint.images=160", "model.gamma=0.5", "run=alone")
    assert alone.returncode == 0, alone.stderr
    same(stopped, tmp_path / "alone")
