"""W&B without its server: what an offline run wrote is read back from its file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from semigan_pl.loggers.score_charts import histogram_rows, roc_rows
from semigan_pl.loggers.wandb_run import WandbRun
from semigan_pl.report import pictures
from semigan_pl.report.run_files import read_run
from tests.loggers.offline_run import OfflineRun

pytestmark = pytest.mark.usefixtures("nobody")


def logger(folder: Path, **changes: Any) -> WandbRun:
    options: dict[str, Any] = {"project": "tests", "entity": None, "group": None, "tags": [], "mode": "offline"}
    return WandbRun(str(folder), **{**options, "connect_timeout": 5.0, "upload_timeout": 5.0, **changes})


def test_an_offline_run_holds_everything(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    wandb_run = logger(run_folder, entity="team", tags=["a", "b"])
    wandb_run.log_hyperparams({"model": {"gamma": 0.5}, "seed": 3, "checkpoint": None})
    for step in (64, 128):
        wandb_run.log_metrics({"train/d_adversarial": step / 3}, step=step)
    wandb_run.log_run(run_folder, metrics)
    wandb_run.close()

    found = OfflineRun(run_folder)
    assert (found.run.project, found.run.entity, found.run.display_name) == ("tests", "team", "run")
    assert (list(found.run.tags), found.run.run_group) == (["a", "b"], "")
    assert {"images_seen": "", "*": "images_seen"}.items() <= found.axes.items()
    typed = "python run.py data=digits model.gamma=0.5 'data.normal_classes=[8]' 'name=two words'"
    expected = {"_wandb": {}, "model": {"gamma": 0.5}, "seed": 3, "checkpoint": None, "command": typed}
    charts = {f"_wandb.visualize.{name}": found.config.pop(f"_wandb.visualize.{name}") for name in ("roc", "scores")}
    assert found.config == expected
    assert [one["panel_type"] for one in charts.values()] == ["Vega2", "Vega2"]
    curve = [(row["images_seen"], row["train/d_adversarial"]) for row in found.history[:2]]
    assert curve == [(64, 64 / 3), (128, 128 / 3)]
    assert all("images_seen" in row for row in found.history)
    numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
    assert numbers.items() <= found.summary.items()
    assert not {"score", "git", "versions"} & set(found.summary)
    assert found.exit_code == 0
    captured = capsys.readouterr()
    assert captured.out == f"W&B: to upload this run: wandb sync {found.folder}\n"
    assert captured.err == ""


def test_pictures_lie_beside_the_run_at_their_place_in_training(run_folder: Path) -> None:
    wandb_run = logger(run_folder)
    wandb_run.log_run(run_folder, {"train/images_seen": 6400})
    wandb_run.close()
    found = OfflineRun(run_folder)
    grids = {row["images_seen"]: found.file(row, "samples") for row in found.history if "samples.path" in row}
    assert list(grids) == [0, 3200, 6400]
    for count, path in grids.items():
        assert path.read_bytes() == (run_folder / "figures" / f"samples_{count:09d}.png").read_bytes()
    (row,) = (row for row in found.history if "figures/roc.path" in row)
    assert row["images_seen"] == 6400
    for name in ("roc", "histogram"):
        assert found.file(row, f"figures/{name}").read_bytes() == (run_folder / "figures" / f"{name}.png").read_bytes()


def test_the_table_shows_each_example_with_its_score_and_pictures(run_folder: Path) -> None:
    wandb_run = logger(run_folder)
    wandb_run.log_run(run_folder, {})
    wandb_run.close()
    found = OfflineRun(run_folder)
    table = found.table("examples")
    written = ["index", "kind", "path", "class", "label", "score", "decision"]
    assert table["columns"] == [*written, "input", "reconstruction", "difference"]
    scores = np.genfromtxt(run_folder / "scores.csv", delimiter=",", skip_header=1, usecols=(0, 4), max_rows=9)
    assert [cells[0] for cells in table["data"]] == [*range(1000, 1009)]
    assert np.array_equal([[cells[0], cells[5]] for cells in table["data"]], scores)
    assert Counter(cells[1] for cells in table["data"]) == {"normal": 3, "anomalous": 3, "missed": 2, "false alarm": 1}
    images = [entry for one in found.artifacts for entry in one.manifest.contents if entry.path.endswith(".png")]
    assert len(images) == 9 * 3
    for entry in images:
        assert run_folder in Path(entry.local_path).parents
    examples = read_run(run_folder).examples
    assert examples is not None
    drawn = [pictures.drawn_tiles(examples, row, pictures.map_scale(examples)).values() for row in range(9)]
    expected = Counter(tile.tobytes() for tiles in drawn for tile in tiles)
    assert Counter(Image.open(entry.local_path).convert("RGB").tobytes() for entry in images) == expected


def test_charts_that_lie_over_those_of_other_runs(run_folder: Path) -> None:
    wandb_run = logger(run_folder)
    wandb_run.log_run(run_folder, json.loads((run_folder / "metrics.json").read_text()))
    wandb_run.close()
    found, run = OfflineRun(run_folder), read_run(run_folder)
    for name, rows in (("roc", roc_rows(run)), ("scores", histogram_rows(run))):
        table = found.table(f"{name}_table")
        assert table["data"] == [list(row) for row in rows]
        panel = found.config[f"_wandb.visualize.{name}"]["panel_config"]
        assert list(panel["fieldSettings"].values()) == table["columns"]
        (query,) = panel["userQuery"]["queryFields"]
        keys = [field["args"][0]["value"] for field in query["fields"] if field["name"] == "summaryTable"]
        assert keys == [f"{name}_table"]
        assert f"{name}_table" in found.summary or f"{name}_table.path" in found.history[-1]


def test_the_numbers_that_runs_are_compared_by_have_a_place_on_the_gamma_axis(run_folder: Path) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    wandb_run = logger(run_folder)
    wandb_run.log_run(run_folder, metrics)
    wandb_run.close()
    (row,) = (row for row in OfflineRun(run_folder).history if "gamma" in row)
    assert (row["gamma"], row["images_seen"]) == (0.5, 7680)
    assert row["test/auroc"] == metrics["test/auroc"]
    assert row["test/auroc_unseen"] == metrics["test/auroc_unseen"]


def test_a_run_that_was_not_reported_ends_as_failed(tmp_path: Path) -> None:
    wandb_run = logger(tmp_path / "run")
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    wandb_run.finalize("success")  # Lightning's, after fit: no end
    wandb_run.log_metrics({"train/a": 2.0}, step=128)
    wandb_run.close()
    found = OfflineRun(tmp_path / "run")
    assert [row["images_seen"] for row in found.history] == [64, 128]
    assert found.exit_code == 1
    wandb_run.close()  # once more harms nothing


def test_a_continued_run_keeps_its_id_and_another_run_has_its_own(tmp_path: Path) -> None:
    ids = []
    for name in ("first", "first", "second"):
        wandb_run = logger(tmp_path / name)
        wandb_run.log_metrics({"train/a": 1.0}, step=64)
        wandb_run.close()
        ids.append(OfflineRun(tmp_path / name).run.run_id)
    assert ids[0] == ids[1] != ids[2]
    assert len(list((tmp_path / "first" / "wandb").glob("*.wandb"))) == 0  # each session in a folder of its own


@pytest.mark.parametrize(("typed", "group"), [(None, "gamma"), ("mine", "mine")])
def test_jobs_of_a_multirun_share_a_group(typed: str | None, group: str, tmp_path: Path) -> None:
    sweep = tmp_path / "multirun" / "gamma"
    sweep.mkdir(parents=True)
    (sweep / "multirun.yaml").touch()  # Hydra's
    wandb_run = logger(sweep / "model.gamma=0.5", group=typed)
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    wandb_run.close()
    found = OfflineRun(sweep / "model.gamma=0.5").run
    assert (found.display_name, found.run_group) == ("model.gamma=0.5", group)


def test_nothing_is_started_before_there_is_something_to_send(tmp_path: Path) -> None:
    logger(tmp_path / "run").close()
    assert not (tmp_path / "run").exists()


def test_other_processes_stay_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    wandb_run = logger(tmp_path / "run")
    wandb_run.log_hyperparams({"seed": 0})
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    wandb_run.log_run(tmp_path / "run", {})
    wandb_run.close()
    assert not (tmp_path / "run").exists()


def test_an_unknown_mode_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"logger\.wandb\.mode=on is unknown: use online"):
        logger(tmp_path, mode="on")


def test_disabled_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wandb_run = logger(tmp_path / "run", mode="disabled")
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    wandb_run.close()
    assert not list((tmp_path / "run").rglob("*"))
    assert capsys.readouterr().out == ""


def broken(*args: Any, **kwargs: Any) -> None:
    raise ConnectionResetError("the server went away\nand a long explanation")


def test_a_failure_in_the_middle_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb_run = logger(tmp_path / "run")
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    with monkeypatch.context() as patch:
        patch.setattr(type(wandb_run._run), "log", broken)
        for step in (128, 192):
            wandb_run.log_metrics({"train/a": 2.0}, step=step)
    wandb_run.close()
    captured = capsys.readouterr()
    sentence = "warning: W&B failed (the server went away): from here on this run is not sent to it.\n"
    assert captured.err == sentence
    assert [row["images_seen"] for row in OfflineRun(tmp_path / "run").history] == [64]


def test_a_failure_at_the_end_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb_run = logger(tmp_path / "run")
    wandb_run.log_metrics({"train/a": 1.0}, step=64)
    with monkeypatch.context() as patch:
        patch.setattr(type(wandb_run._run), "finish", broken)
        wandb_run.close()
    captured = capsys.readouterr()
    assert captured.err.count("warning:") == 1
    assert "ConnectionResetError" in captured.err
    assert "wandb sync" in captured.out
