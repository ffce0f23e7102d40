"""Reading many runs: which folders are runs, what their files say, what is wrong with some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from semigan_pl.report.sweep_files import find_runs, read_config, read_scores, read_sweep
from tests.conftest import compose_config
from tests.report.sweep_runs import make_run, make_sweep


def test_runs_are_found_below_and_by_wildcards_each_once(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "a/deep/run=1"), make_run(tmp_path / "b/run[2]")
    (one / "figures" / ".hydra").mkdir(parents=True)  # nothing is looked for inside a run
    assert find_runs([str(tmp_path)]) == [one, two]
    assert find_runs([str(tmp_path / "*" / "deep"), str(two), f"{two}/"]) == [one, two]
    with pytest.raises(FileNotFoundError, match=r"runs=.*/c is not there"):
        find_runs([str(tmp_path / "c")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no run"):
        find_runs([str(two), str(tmp_path / "empty")])


def test_a_log_beside_runs_hides_none_of_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "study" / "a")
    (tmp_path / "study" / "output.log").write_text("what the sweep said")
    assert find_runs([str(tmp_path)]) == [run]
    alone = tmp_path / "killed"
    alone.mkdir()
    (alone / "log.txt").write_text("a run that got no further")
    assert find_runs([str(tmp_path)]) == [alone, run]


def test_a_config_in_parts_is_the_config() -> None:
    """Of a real one: its values, where no other option is named, are those that OmegaConf reads."""
    config = compose_config("data=mnist", "model.gamma=0.3", "seed=7")
    found = read_config(OmegaConf.to_yaml(config))
    for key in ("model.gamma", "model.name", "data.contamination", "optimizer.generator.lr", "max_images"):
        assert found[key] == OmegaConf.select(config, key)
    assert found["optimizer.generator.betas"] == json.dumps(list(config.optimizer.generator.betas))
    assert found["data.seed"] == "${seed}"


def test_runs_with_trouble_say_which(tmp_path: Path) -> None:
    make_sweep(tmp_path, [1.0], [0], [0])
    no_config, bad_config, other = (make_run(tmp_path / name) for name in ("no_config", "bad_config", "other"))
    (no_config / ".hydra" / "config.yaml").unlink()
    (bad_config / ".hydra" / "config.yaml").write_text("a: [\nb: 1\n")
    (other / "metrics.json").write_text("[]")
    (tmp_path / "job").mkdir()
    (tmp_path / "job/failure.txt").write_text("error: there is no data\n")
    runs = {run.folder.name: run for run in read_sweep(find_runs([str(tmp_path)]))}
    assert runs["failed"].trouble == "error: no space left <b>"
    assert runs["failed"].settings["model.gamma"] == 0.3
    assert runs["job"].trouble == "error: there is no data"
    assert runs["torn"].trouble.startswith("metrics.json is damaged (")
    assert runs["other"].trouble == "metrics.json is damaged (it holds a list)"
    assert runs["no_config"].trouble == ".hydra/config.yaml is missing: what was run is not known"
    assert runs["bad_config"].trouble.startswith("its config is damaged (")
    whole = runs["model.gamma=1.0,c=0,seed=0"]
    assert (whole.trouble, whole.seed, whole.number("test/f1"), whole.number("test/auroc_unseen")) == (
        "",
        "0",
        0.5,
        None,
    )


def test_scores_are_read_whatever_the_names(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = read_scores(run)
    assert found.indices.tolist() == list(range(60))
    assert found.labels.sum() == 40
    lines = (run / "scores.csv").read_text().splitlines()
    assert float(lines[1].split('"')[2].split(",")[3]) == found.scores[0]
    for damaged, said in (([lines[0], "1,2"], "damaged"), (["index,label", "1,0"], "damaged")):
        (run / "scores.csv").write_text("\n".join(damaged))
        with pytest.raises(ValueError, match=said):
            read_scores(run)
    (run / "scores.csv").write_text("index,label,score\n1,0,nan\n")
    with pytest.raises(ValueError, match="no finite numbers"):
        read_scores(run)
    assert np.isfinite(found.scores).all()
