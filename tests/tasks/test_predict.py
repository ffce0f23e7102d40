"""task=predict: a folder of photographs in, scores, decisions and overlays out."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.tasks.overlay_files import overlay_path
from tests.commands import Run, call, scores
from tests.test_detector import digit


@pytest.fixture(scope="module")
def photos(finished: tuple[Path, Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 70 test images of the run as files in two folders, more than a block."""
    place = tmp_path_factory.mktemp("photos of parts")
    for row, index in enumerate(scores(finished[0])["index"][:70].astype(int)):
        path = place / ("left" if row % 2 else "é") / f"{row:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(digit(index)).save(path)
    return place


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predict(finished: tuple[Path, Run], photos: Path, tmp_path: Path, *options: str) -> Run:
    checkpoint = f"checkpoint={finished[0]}/checkpoints/last.ckpt"
    place = [] if any(option.startswith("run=") for option in options) else ["run=found"]
    return call(tmp_path, "task=predict", checkpoint, "data=folder", f'data.root="{photos}"', *place, *options)


def test_new_images_get_the_scores_of_the_test_run(finished: tuple[Path, Run], photos: Path, tmp_path: Path) -> None:
    result = predict(finished, photos, tmp_path)
    assert result.returncode == 0, result.stderr
    table = scores(finished[0])
    found = rows(tmp_path / "found" / "predictions.csv")
    assert list(found[0])[:3] == ["path", "score", "decision"]
    assert len(found) == 60 == len(table["score"])
    for row in found:
        place = int(Path(row["path"]).stem)
        assert float(row["score"]) == table["score"][place]
        assert int(row["decision"]) == table["decision"][place]
        assert float(row["critic"]) == table["critic"][place]
        overlay = tmp_path / "found" / "overlays" / Path(row["path"]).parent.name / f"{Path(row['path']).name}.png"
        assert np.asarray(Image.open(overlay)).shape == (8, 8, 3)
    page = (tmp_path / "found" / "predictions.html").read_text()
    assert "00.png" in page
    assert not list((tmp_path / "found").rglob("*unfinished*"))


def test_fewer_overlays(finished: tuple[Path, Run], photos: Path, tmp_path: Path) -> None:
    assert predict(finished, photos, tmp_path, "overlays=anomalous").returncode == 0
    called = [row for row in rows(tmp_path / "found" / "predictions.csv") if row["decision"] == "1"]
    assert len(list((tmp_path / "found" / "overlays").rglob("*.png"))) == len(called) > 0
    result = predict(finished, photos, tmp_path, "overlays=some")
    assert "overlays=some must be one of all, anomalous, none" in result.stderr


def test_one_broken_file_does_not_cost_the_others(finished: tuple[Path, Run], photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("a", "b"):
        Image.fromarray(digit(ord(name))).save(copy / f"{name}.png")
    (copy / "broken.png").write_text("not an image")
    result = predict(finished, copy, tmp_path, "overlays=none")
    assert result.returncode != 0
    assert "1 of 3 images cannot be read: repair or remove" in result.stderr
    assert "broken.png" in result.stderr
    assert len(rows(tmp_path / "found" / "predictions.csv")) == 2
    options = ("overlays=none", "data.skip_broken=true", "run=again")
    assert predict(finished, copy, tmp_path, *options).returncode == 0


def test_a_labelled_data_set_is_predicted_whole(finished: tuple[Path, Run], tmp_path: Path) -> None:
    checkpoint = f"checkpoint={finished[0]}/checkpoints/last.ckpt"
    result = call(tmp_path, "task=predict", checkpoint, "data=digits", "overlays=none", "run=found")
    assert result.returncode == 0, result.stderr
    found = rows(tmp_path / "found" / "predictions.csv")
    table = scores(finished[0])
    assert len(found) == 1797
    assert float(found[int(table["index"][0])]["score"]) == table["score"][0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["data=folder", "data.root=."], "task=predict needs a trained detector: add checkpoint="),
        (["checkpoint=no.ckpt", "data=folder", "data.root=."], "there is no checkpoint no.ckpt"),
        (["checkpoint=CHECKPOINT", "data=folder", "data.root=nowhere"], "data.root=nowhere is not a folder"),
        (["checkpoint=CHECKPOINT", "data=folder", "data.root=empty"], "holds no image"),
        (["checkpoint=CHECKPOINT", "data=folder"], "data.root is not set"),
    ],
)
def test_what_is_missing_is_said(finished: tuple[Path, Run], options: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = f"{finished[0]}/checkpoints/last.ckpt"
    result = call(tmp_path, "task=predict", *(option.replace("CHECKPOINT", path) for option in options))
    assert result.returncode != 0
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_overlays_stay_in_their_folder() -> None:
    for path, root, expected in (
        ("photos/a/b.jpg", "photos", "overlays/a/b.jpg.png"),
        ("/x/b.jpg", "photos", "overlays/x/b.jpg.png"),
        ("../../b.jpg", None, "overlays/b.jpg.png"),
    ):
        assert overlay_path(Path("run"), path, root) == Path("run") / expected


def test_long_names_are_cut_and_kept_apart(tmp_path: Path) -> None:
    names = [f"{letter * 120}{end}.png" for letter in ("é", os.fsdecode(b"\xff") * 2) for end in ("a", "b")]
    paths = [overlay_path(tmp_path, f"photos/deep/{name}", "photos") for name in names]
    assert len(set(paths)) == len(names)
    for path in paths:
        assert path.parent == tmp_path / "overlays" / "deep"
        assert len(os.fsencode(path.name)) <= 204
        assert path.name.encode().decode() == path.name  # no character is cut in two
    assert paths[0].name.startswith("é" * 90)
    assert overlay_path(tmp_path, "é" * 100, None).name == "é" * 100 + ".png"


def test_what_would_change_the_detector_is_refused(finished: tuple[Path, Run], photos: Path, tmp_path: Path) -> None:
    for option in (
        "model.gamma=0.3",
        "data.image_size=32",
        "data.resize=crop",
        "search=paper",
        "seed=3",
        "data.mean_grey=9",
    ):
        result = predict(finished, photos, tmp_path, option)
        assert result.returncode != 0
        assert f"{option} does not go with task=predict" in result.stderr
    assert predict(finished, photos, tmp_path, "block_size=0").stderr.startswith("error: block_size=0 must be")
    assert predict(finished, photos, tmp_path, "cards=-1").stderr.startswith("error: cards=-1 must be")
    assert not (tmp_path / "found" / "predictions.csv").exists()


def test_results_are_not_mixed(finished: tuple[Path, Run], photos: Path, tmp_path: Path) -> None:
    assert predict(finished, photos, tmp_path, "overlays=none", "block_size=32").returncode == 0
    result = predict(finished, photos, tmp_path, "overlays=none")
    assert result.returncode != 0
    assert "predictions.csv is there already: choose another run=FOLDER" in result.stderr


def test_ctrl_c_says_what_is_left(
    finished: tuple[Path, Run], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("semigan_pl.tasks.judging.write_overlay", interrupted)
    result = predict(finished, photos, tmp_path)
    assert result.returncode == 130
    unfinished = tmp_path / "found" / "predictions.unfinished.csv"
    assert f"Stopped: what was computed until then is in {unfinished}" in result.stderr
    assert unfinished.is_file()
