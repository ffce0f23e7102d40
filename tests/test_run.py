"""The command line from end to end, on a budget of seconds: what a run leaves behind, and what it says."""

from __future__ import annotations

import csv
import errno
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from semigan_pl import load_detector
from semigan_pl.tasks.settle import renamed
from tests.commands import ROOT, SMALL, Run, call, scores
from tests.conftest import compose_config


def test_a_run_leaves_what_it_promises(finished: tuple[Path, Run]) -> None:
    folder, result = finished
    for name in ("scores.csv", "metrics.csv", "data.json", "examples.npz", "report.html", ".hydra/config.yaml"):
        assert (folder / name).is_file(), name
    assert (folder / "figures" / "samples_000001280.png").is_file()
    assert not list(folder.rglob("*.partial*"))
    assert "report.html" in result.stdout
    assert "arning" not in result.stdout + result.stderr


def test_metrics_agree_with_scikit_learn(finished: tuple[Path, Run]) -> None:
    folder, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    table = scores(folder)
    labels, score = table["label"], table["score"]
    assert metrics["score"] == "fused"
    assert np.array_equal(table["score"], table["fused"])
    for term in ("residual", "discrimination", "anogan", "critic", "fused"):
        assert metrics[f"test/auroc_{term}"] == pytest.approx(roc_auc_score(labels, table[term]), abs=1e-12)
        assert 0 <= metrics[f"val/auroc_{term}"] <= 1
    assert metrics["test/auroc"] == metrics["test/auroc_fused"]
    assert metrics["test/average_precision"] == pytest.approx(average_precision_score(labels, score), abs=1e-12)
    assert np.array_equal(table["decision"], score > metrics["test/threshold"])
    assert metrics["test/f1"] == pytest.approx(f1_score(labels, table["decision"]), abs=1e-12)
    assert metrics["test/accuracy"] == pytest.approx(np.mean(labels == table["decision"]), abs=1e-12)
    assert metrics["test/prevalence"] == pytest.approx(labels.mean(), abs=1e-12)
    assert metrics["objective"] == metrics["val/auroc"]
    known = np.isin(table["class"], ["0", "1", "2"])
    for key, rows in (("known", known), ("unseen", ~known)):
        chosen = rows | (labels == 0)
        assert metrics[f"test/auroc_{key}"] == pytest.approx(roc_auc_score(labels[chosen], score[chosen]), abs=1e-12)
    class_3 = (table["class"] == "3") | (labels == 0)
    expected = roc_auc_score(labels[class_3], score[class_3])
    assert metrics["test/auroc_class/3"] == pytest.approx(expected, abs=1e-12)
    for key in ("test/f1_max", "test/f1_max_inlier", "test/precision", "test/recall", "test/images_per_second"):
        assert metrics[key] > 0
    assert metrics["train/images_seen"] == 1280
    assert {"torch", "python"} <= set(metrics["versions"])


def test_terms_are_what_they_are_called(finished: tuple[Path, Run]) -> None:
    table = scores(finished[0])
    expected = 0.9 * table["residual"] + 0.1 * table["discrimination"]
    np.testing.assert_allclose(table["anogan"], expected, rtol=1e-5)


def test_training_curves_count_images(finished: tuple[Path, Run]) -> None:
    with (finished[0] / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert next(iter(rows[0])) == "images_seen"
    assert {"train/d_adversarial", "train/d_known_anomalies", "train/g_adversarial"} <= set(rows[0])
    assert all(int(row["images_seen"]) % 32 == 0 for row in rows)


def test_a_checkpoint_is_data_and_knows_everything(finished: tuple[Path, Run]) -> None:
    folder, _ = finished
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["config"]["data"]["image_size"] == 16
    assert content["data"]["normal_classes"] == ["8"]
    state = content["state_dict"]["_extra_state"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert state["calibration"]["thresholds"]["fused"] == metrics["test/threshold"]
    assert state["images_seen"] == 1280


def test_a_stopped_run_continues_to_the_same_scores(finished: tuple[Path, Run], tmp_path: Path) -> None:
    half = call(tmp_path, *SMALL, "run=half", "max_images=640", "data.known_classes=[0,1,2]")
    assert half.returncode == 0, half.stderr
    whole = call(tmp_path, "run=half", "checkpoint=last", "max_images=1280")
    assert whole.returncode == 0, whole.stderr
    continued, uninterrupted = scores(tmp_path / "half"), scores(finished[0])
    for name, values in uninterrupted.items():
        assert np.array_equal(values, continued[name]), name
    with (tmp_path / "half" / "metrics.csv").open(newline="") as file:
        seen = [int(row["images_seen"]) for row in csv.DictReader(file)]
    assert seen == sorted(set(seen))


def test_a_checkpoint_starts_a_new_run_with_another_search(
    finished: tuple[Path, Run],
) -> None:
    folder, _ = finished
    before = (folder / "metrics.json").read_bytes()
    result = call(folder.parent, f"checkpoint={folder}/checkpoints/last.ckpt", "run=again", "search.steps=1")
    assert result.returncode == 0, result.stderr
    assert json.loads((folder.parent / "again" / "metrics.json").read_text())["train/images_seen"] == 1280
    earlier, later = scores(folder), scores(folder.parent / "again")
    assert np.array_equal(earlier["critic"], later["critic"])  # the same networks
    assert not np.array_equal(earlier["residual"], later["residual"])
    assert (folder / "metrics.json").read_bytes() == before


def test_a_killed_run_continues_to_the_same_scores(tmp_path: Path) -> None:
    """Killed in the middle of training; the rest gives to the bit what an uninterrupted run gives."""
    often = ["callbacks.checkpoint.seconds=1"]
    arguments = [sys.executable, str(ROOT / "run.py"), *SMALL, *often, "run=killed", "max_images=1000000"]
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not last.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()
    seen = torch.load(last, weights_only=True)["state_dict"]["_extra_state"]["images_seen"]
    assert 0 < seen < 1000000
    until = f"max_images={seen + 640}"
    for arguments in (["run=killed", "checkpoint=last", until], [*SMALL, *often, "run=whole", until]):
        result = call(tmp_path, *arguments)
        assert result.returncode == 0, result.stderr
    continued, uninterrupted = scores(tmp_path / "killed"), scores(tmp_path / "whole")
    for name, values in uninterrupted.items():
        assert np.array_equal(values, continued[name]), name


def test_an_earlier_run_is_not_overwritten(finished: tuple[Path, Run]) -> None:
    folder, _ = finished
    before = {path: path.read_bytes() for path in (folder / "metrics.json", folder / ".hydra" / "overrides.yaml")}
    for arguments, words in (
        (["run=first", "max_images=64"], "holds another run"),
        (["run=first", "checkpoint=last", "data.image_size=30"], "data.image_size=30"),
        (["run=other", "checkpoint=first/checkpoints/last.ckpt", "seed=1"], "test images are among those"),
        (["run=first", "checkpoint=last", "objective=test/auroc"], "objective=test/auroc"),
        (["run=first", "checkpoint=last", "max_images=2560", "optimizer.generator.lr=-1"], "optimizers cannot be made"),
        (["run=first", "checkpoint=last", "max_images=2560", "search.steps=abc"], "search.steps=abc"),
    ):
        result = call(folder.parent, *arguments)
        assert result.returncode != 0
        assert words in result.stderr
        assert all(path.read_bytes() == content for path, content in before.items())


def test_a_new_run_from_a_checkpoint_keeps_the_experiments_name(finished: tuple[Path, Run], tmp_path: Path) -> None:
    assert renamed(str(tmp_path / "outputs" / "digits" / "now"), "mnist") == str(tmp_path / "outputs/mnist/now")


def test_a_bad_job_leaves_the_others_alone(tmp_path: Path) -> None:
    result = call(tmp_path, "-m", "model.gamma=0,1", "max_images=64", *SMALL)
    assert result.returncode != 0
    assert "error: model.gamma=0" in result.stderr
    assert len(list((tmp_path / "multirun" / "digits").rglob("metrics.json"))) == 1


def test_the_report_is_made_again_from_files(finished: tuple[Path, Run]) -> None:
    folder, _ = finished
    (folder / "report.html").unlink()
    config = (folder / ".hydra" / "config.yaml").read_bytes()
    result = call(folder.parent, "task=report", "run=first")
    assert result.returncode == 0, result.stderr
    assert (folder / "report.html").is_file()
    assert (folder / ".hydra" / "config.yaml").read_bytes() == config, "the run's own config was overwritten"


def test_multirun_gives_every_job_its_own_folder(tmp_path: Path) -> None:
    result = call(tmp_path, "-m", "model.gamma=1,0.5", "max_images=128", *SMALL[:-1], "data.test_limit=30")
    assert result.returncode == 0, result.stderr
    folders = [path.parent for path in (tmp_path / "multirun" / "digits").rglob("metrics.json")]
    assert len(folders) == 2
    assert all("model.gamma=" in folder.name for folder in folders)


def test_pixels_are_measured_against_the_true_masks(tmp_path: Path) -> None:
    """The numbers of metrics.json, made again with scikit-learn from the detector's maps and the data set's masks."""
    size = ["data.image_size=32", "data.train_images=60", "data.train_anomalies=30", "data.test_images=40"]
    typed = ["data=surface", *size, "data.known_anomalies=10", "data.defect_share=0.02", "max_images=320"]
    result = call(tmp_path, *SMALL, *typed, "run=pixels")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "pixels"
    metrics = json.loads((folder / "metrics.json").read_text())
    source = instantiate(compose_config(*typed).data.source, _convert_="all")
    positions = scores(folder)["index"].astype(int)
    found = load_detector(folder / "checkpoints" / "last.ckpt").predict([source.read(p) for p in positions])
    truth = np.stack([np.asarray(source.mask(p)) > 127 for p in positions]).ravel()
    maps = np.stack([one.anomaly_map for one in found if one.anomaly_map is not None]).ravel()
    assert metrics["test/pixel_auroc"] == pytest.approx(roc_auc_score(truth, maps), abs=1e-9)
    assert metrics["test/pixel_average_precision"] == pytest.approx(average_precision_score(truth, maps), abs=1e-9)
    assert metrics["test/pixel_prevalence"] == pytest.approx(truth.mean())
    assert metrics["test/pixel_images"] == 40


def photos(folder: Path) -> None:
    """Photographs in the layout of data=folder, one of them broken."""
    rng = np.random.default_rng(0)
    for kind, count in (("normal", 40), ("anomalous", 16)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 255, (20, 24), dtype=np.uint8)).save(folder / kind / f"{number}.png")
    (folder / "normal" / "7.png").write_bytes(b"no image")


def test_a_broken_image_is_named_before_training(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    typed = [*SMALL, "data=folder", "data.root=photos", "data.image_size=16", "max_images=64", "run=here"]
    result = call(tmp_path, *typed)
    assert result.returncode != 0
    (line,) = result.stderr.strip().splitlines()
    assert re.match(r"error: 1 of \d+ images of folder cannot be read: repair or remove photos/normal/7\.png", line)
    assert not (tmp_path / "here").exists()
    result = call(tmp_path, *typed, "data.skip_broken=true")
    assert result.returncode == 0, result.stderr
    notes = json.loads((tmp_path / "here" / "data.json").read_text())["notes"]
    assert any("photos/normal/7.png" in note for note in notes)


def test_the_networks_of_a_checkpoint_are_not_exchanged(finished: tuple[Path, Run]) -> None:
    checkpoint = f"checkpoint={finished[0]}/checkpoints/last.ckpt"
    result = call(finished[0].parent, checkpoint, "network_sizes.small.width=16", "run=wide")
    assert result.returncode != 0
    assert "holds other networks than this model" in result.stderr


def test_a_full_disk_leaves_the_last_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(tmp_path, *SMALL, "run=here", "max_images=64").returncode == 0
    last = tmp_path / "here" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()

    def full(self: pl.Trainer, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", full)
    result = call(tmp_path, "run=here", "checkpoint=last", "max_images=128")
    assert result.returncode != 0
    assert f"no space left on the device while writing {last.relative_to(tmp_path)}" in result.stderr.replace(
        f"{tmp_path}/", ""
    )
    assert last.read_bytes() == before
    assert [path.name for path in last.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.gamma=0"], ["model.gamma=0", "(0, 1]"]),
        (["data.known_anomalies=0"], ["data.known_anomalies=0", "model.gamma=1"]),
        (["data.contamination=1.5"], ["contamination"]),
        (["data.normal_classes=[eleven]"], ["eleven"]),
        (["checkpoint=nowhere.ckpt"], ["nowhere.ckpt", "checkpoint"]),
        (["checkpoint=damaged.ckpt"], ["damaged.ckpt is damaged or no checkpoint of this project"]),
        (["data.known_anomalies=5000"], ["data.known_anomalies=5000 needs 5000 known anomalies", "lower it"]),
        (["data=folder", "data.root=empty"], ["data.root=empty holds no normal images"]),
        (["data=mvtec", "data.root=empty"], ["data.root=empty"]),
        (["data=magnetic_tile", "data.root=empty"], ["data.root=empty"]),
        (["data=manifest"], ["data.manifest is not set"]),
        (["data=ir_mnist", "model=anogan"], ["data.root is not set"]),
        (["data.known_list=nowhere.csv"], ["data.known_list=nowhere.csv is not a file"]),
        (["data.mean_grey=300"], ["data.mean_grey=300"]),
        (["data=mnist"], ["data.root"]),
        (["data.image_size=30"], ["data.image_size=30"]),
        (["model=vae", "encoding=izi"], ["encoding= is of no use to model=vae"]),
        (["model=egbad", "model.gan_checkpoint=gan.ckpt"], ["model.gan_checkpoint is of no use to model=egbad"]),
        (["model=ganomaly", "encoding=izi"], ["encoding= is of no use to model=ganomaly"]),
        (["model=egbad", "growth=doubling", "loss=wasserstein"], ["model=egbad do not grow: add growth=none"]),
        (["model.decision.score=magic"], ["magic"]),
        (["task=dance"], ["dance", "fit"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_bad_input_gets_one_sentence(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "damaged.ckpt").write_bytes(b"no checkpoint")
    (tmp_path / "empty").mkdir()
    result = call(tmp_path, "max_images=128", *arguments)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    message = next(line for line in result.stderr.splitlines() if line.startswith("error:"))
    for word in words:
        assert word in message
