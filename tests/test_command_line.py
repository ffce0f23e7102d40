"""What people type wrongly, and the sentence they get."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hydra.errors import InstantiationException

from semigan_pl.command_line import in_full, job_folder, quoted, sentence
from tests.commands import call


def test_a_job_has_one_folder_whatever_it_varies() -> None:
    assert job_folder("model.gamma=0.5,seed=0") == "model.gamma=0.5,seed=0"
    assert job_folder("search/descent=lbfgs") == "search.descent=lbfgs"
    names = {job_folder("ü" * 300 + last) for last in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= 200 for name in names)


def test_paths_need_no_quotes_of_ones_own() -> None:
    path = "multirun/a/data.known_classes=[1],model.gamma=0.5/checkpoints/last.ckpt"
    assert quoted(f"checkpoint={path}") == f'checkpoint="{path}"'
    assert quoted(f'checkpoint="{path}"') == f'checkpoint="{path}"'
    assert quoted("checkpoint=last") == "checkpoint=last"
    assert quoted("model.gamma=1,0.5") == "model.gamma=1,0.5"
    assert quoted("data.known_list=my list.csv") == 'data.known_list="my list.csv"'
    assert quoted("data.root=") == "data.root="
    assert quoted("runs=[multirun/a,multirun/b]") == "runs=[multirun/a,multirun/b]"
    assert quoted("runs=multirun/a,gamma=1") == 'runs="multirun/a,gamma=1"'


def test_an_option_of_wandb_alone_chooses_it() -> None:
    assert in_full(["task=wandb_workspace", "logger.entity=me"]) == [
        *("task=wandb_workspace", "logger.wandb.entity=me", "logger=wandb")
    ]
    both = ["logger=[wandb,tensorboard]", "logger.wandb.project=p"]
    assert in_full(["logger=[wandb,tensorboard]", "logger.project=p"]) == both
    assert in_full(both) == both
    assert in_full(["-m", "seed=0,1"]) == ["-m", "seed=0,1"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model.gama=0.5", "there is no option model.gama: did you mean model.gamma?"),
        ("gamma=0.5", "did you mean model.gamma?"),
        ("data.contaminaton=0.2", "did you mean data.contamination?"),
        ("max_image=5", "did you mean max_images?"),
        ("modle=gan", "did you mean model?"),
        ("model=semigann", "model=semigann does not exist: did you mean semigan? There are alocc, anogan, cop, "),
        ("data=photos", "data=photos does not exist: there are caltech256"),
        ("xyzzy=1", "there is no option xyzzy"),
        ("+experiment=mnis", "did you mean mnist?"),
        ("data.image_size=big", "data.image_size=big must be a whole number, 1 or more"),
        ("max_images=many", "max_images=many must be a whole number, 0 or more"),
        ("model.gamma=half", "model.gamma=half is outside (0, 1]"),
        ("experiment=mnist", "experiment is added, not changed: write +experiment=..."),
        ("run=", "run= is empty"),
        ("data.root=", "data.root= is empty: give a value, or null for none"),
        ("", "an argument is empty"),
        ("optimizer.generator.lr=abc", "optimizer.generator.lr=abc is no number (it is 0.0002 by default)"),
        ("optimizer.generator.lr=-1", "the optimizers cannot be made (Invalid learning rate: -1): correct optimizer"),
        ("data.normal_classes=[8", "cannot be read as option=value"),
        ("data.normal_classes=${nothing}", "nothing"),
    ],
)
def test_a_slip_of_the_keys_gets_the_nearest_right_name(typed: str, words: str, tmp_path: Path) -> None:
    result = call(tmp_path, typed)
    assert result.returncode != 0
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("metrics.json"))


def test_of_another_data_set_its_own_options_are_meant(tmp_path: Path) -> None:
    result = call(tmp_path, "data=caltech256", "data.cluter=x")
    assert "did you mean data.clutter?" in result.stderr


def test_a_traceback_for_those_who_want_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(InstantiationException, match=r"model\.gamma=0"):
        call(tmp_path, "model.gamma=0")


def test_a_full_disk_is_called_by_its_name() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "outputs/scores.csv")
    said = sentence(error, [])
    assert said.startswith("no space left on the device while writing outputs/scores.csv: free some")
    assert sentence(OSError(errno.ENOSPC, "No space left on device"), []).startswith("no space left on the device: ")


def test_one_sentence_is_one_line() -> None:
    assert sentence(ValueError("two\n  lines"), []) == "two lines"
    assert sentence(ValueError(), []) == "ValueError"
