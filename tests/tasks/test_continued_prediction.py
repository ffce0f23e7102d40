"""task=predict by several processes, and killed and continued: the bytes of one process that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from semigan_pl.detector import Detection, Detector
from semigan_pl.tasks.judging import devices
from semigan_pl.tasks.suspects import Seen, Suspects
from tests.commands import ROOT, Run, call
from tests.conftest import compose_config
from tests.test_detector import digit

N_IMAGES, N_CARDS, KILLED_AT = 44, 5, 20  # in blocks of 8
KILLED = """
import os, signal, sys
import run
from semigan_pl.tasks import judging

write, left = judging.write_overlay, [int(sys.argv.pop(1))]

def last_words(*arguments):
    write(*arguments)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

judging.write_overlay = last_words
run.cli()
"""


@pytest.fixture(scope="module")
def place(finished: tuple[Path, Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, photos, one of them broken, and what one process makes of them: `whole`."""
    place = tmp_path_factory.mktemp("continued")
    shutil.copy(finished[0] / "checkpoints" / "last.ckpt", place)
    for number in range(N_IMAGES):
        path = place / "photos" / f"{number % 3}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digit(number)).save(path)
    (place / "photos" / "1" / "99.png").write_text("not an image")
    result = predict(place, "run=whole")
    assert result.returncode == 0, result.stderr
    return place


def typed(*options: str) -> list[str]:
    images = ["data=folder", "data.root=photos", "data.skip_broken=true"]
    return ["task=predict", "checkpoint=last.ckpt", "block_size=8", *images, *options]


def predict(cwd: Path, *options: str) -> Run:
    return call(cwd, *typed(f"cards={N_CARDS}", *options))


@pytest.fixture
def own(place: Path, tmp_path: Path) -> Path:
    """A copy of it, without results."""
    shutil.copytree(place / "photos", tmp_path / "photos")
    shutil.copy(place / "last.ckpt", tmp_path)
    return tmp_path


def left(folder: Path) -> dict[str, bytes]:
    """Every file of a run; of the page without the command that made it."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    page = files["predictions.html"].decode()
    files["predictions.html"] = "".join(line for line in page.splitlines() if "task=predict" not in line).encode()
    return files


def stop(cwd: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prediction that ends when so many images have their row."""
    done = 0

    def interrupted(*arguments: Any) -> None:
        nonlocal done
        done += 1
        if done > after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("semigan_pl.tasks.judging.write_overlay", interrupted)
        assert predict(cwd, "run=found", "overlays=anomalous").returncode == 130


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is inspected from now on."""
    seen, inspect = Counter[str](), Detector.inspect

    def noted(self: Detector, pixels: Any, paths: list[str | None]) -> list[Detection]:
        seen.update(Path(str(path)).name for path in paths)
        return inspect(self, pixels, paths)

    monkeypatch.setattr(Detector, "inspect", noted)
    return seen


def test_two_processes(place: Path) -> None:
    result = predict(place, "run=two", "trainer.devices=2", "data.skip_broken=false")
    assert f"1 of {N_IMAGES + 1} images cannot be read: repair or remove photos/1/99.png (cannot ide" in result.stderr
    assert f"{N_IMAGES} images at" in result.stdout
    assert result.stdout.count("Page:") == 1
    assert left(place / "two") == left(place / "whole")


def test_killed_and_continued(place: Path, looks: Counter[str]) -> None:
    command = [sys.executable, "-c", KILLED, str(KILLED_AT), *typed("run=killed", f"cards={N_CARDS}")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, cwd=place, env=environment, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    unfinished = place / "killed" / "predictions.unfinished.csv"
    rows = unfinished.read_text().splitlines()[1:]
    assert len(rows) == KILLED_AT - 1  # the last image has its overlay and no row
    with unfinished.open("a") as file:
        file.write(rows[-1][:-4])  # as if it had been killed in writing
    result = predict(place, "run=killed")
    assert result.returncode == 0, result.stderr
    assert f"{N_IMAGES} images ({KILLED_AT - 1} of them before this start) at" in result.stdout
    assert left(place / "killed") == left(place / "whole")
    earlier = {Path(row.split(",")[0]).name for row in rows}
    assert all(times == 1 for times in looks.values())
    assert len(looks.keys() - earlier) == N_IMAGES - len(earlier)
    assert len(looks.keys() & earlier) <= N_CARDS  # those for the page alone


def test_continued_by_another_number_of_processes(own: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(own, KILLED_AT, monkeypatch)
    table = own / "found" / "predictions.unfinished.csv"
    header, *rows = table.read_bytes().splitlines(keepends=True)
    assert len(rows) == KILLED_AT
    table.write_bytes(b"".join([header, *rows[:7]]))
    ours, theirs = b"".join([header, *rows[7::2]]), b"".join([header, *rows[8::2]])
    table.with_suffix(".1.csv").write_bytes(ours)  # as three processes would have left it,
    table.with_suffix(".2.csv").write_bytes(theirs[:-3])  # the last one in the middle of a row
    result = predict(own, "run=found", "overlays=anomalous")
    assert f"{N_IMAGES} images ({KILLED_AT - 1} of them before" in result.stdout
    assert (own / "found" / "predictions.csv").read_bytes() == (place / "whole" / "predictions.csv").read_bytes()
    assert not list((own / "found").glob("*unfinished*"))


def test_a_folder_that_has_changed_meanwhile(own: Path, monkeypatch: pytest.MonkeyPatch, looks: Counter[str]) -> None:
    photos = own / "photos"
    (photos / "0" / "03.png").write_text("not an image")
    stop(own, KILLED_AT, monkeypatch)
    looks.clear()
    (photos / "0" / "00.png").unlink()
    moment = (own / "found" / "predictions.unfinished.csv").stat().st_mtime + 1
    for name, number in (("0/03.png", 3), ("0/06.png", 100), ("0/05 new.png", 101)):
        Image.fromarray(digit(number)).save(photos / name)
        os.utime(photos / name, (moment, moment))
    assert predict(own, "run=found", "overlays=anomalous", "cards=0").returncode == 0
    done = KILLED_AT - 2  # one is gone, one is another
    assert looks.total() == N_IMAGES - done == len(looks)
    assert {"03.png", "06.png", "05 new.png"} < looks.keys()
    assert predict(own, "run=again", "overlays=anomalous", "cards=0").returncode == 0
    assert (own / "found" / "predictions.csv").read_bytes() == (own / "again" / "predictions.csv").read_bytes()


def test_what_is_not_continued(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(own, 3, monkeypatch)
    shutil.copytree(own / "photos" / "0", own / "others")
    for option, name in (
        ("overlays=none", "overlays"),
        ("block_size=16", "block_size"),
        ("data.root=others", r"data.root and another data.source"),
    ):
        result = predict(own, "run=found", "overlays=anomalous", option)
        assert f"found holds an unfinished predictions.csv with another {name} (see" in result.stderr
    content = torch.load(own / "last.ckpt", weights_only=True)
    torch.save({**content, "another": True}, own / "last.ckpt")
    result = predict(own, "run=found", "overlays=anomalous")
    assert "with another checkpoint (see predictions.unfinished.json): continue it as it was begun" in result.stderr


def test_two_predictions_in_one_folder(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The later one puts a table of its own in the place of that which the earlier one writes."""
    monkeypatch.setattr(
        "semigan_pl.tasks.judging.write_overlay",
        lambda *_: (own / "found" / "predictions.unfinished.csv").unlink(missing_ok=True),
    )
    result = predict(own, "run=found")
    assert f"error: {N_IMAGES} rows have gone from {own}/found/predictions.unfinished.csv: another" in result.stderr
    assert not (own / "found" / "predictions.csv").exists()


def test_started_by_a_launcher(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = predict(place, "run=launched")
    assert "error: task=predict starts its processes itself, on one machine: start it without torchrun" in result.stderr


def test_what_each_process_computes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for options, expected in (
        (["trainer=gpu", "trainer.devices=2"], ["cuda:0", "cuda:1"]),
        (["trainer=gpu", "trainer.devices=[1,3]"], ["cuda:1", "cuda:3"]),
        (["trainer.devices=2"], ["cpu", "cpu"]),
        ([], ["cpu"]),
    ):
        assert devices(compose_config(*options)) == expected


def test_the_most_suspicious_of_many() -> None:
    scores = [(position * 7919 % 1009) // 3 for position in range(1009)]  # many of them equal
    suspects = Suspects(10)
    picture = digit(0)[None]
    for position, score in enumerate(scores):
        found = Detection(None, float(score), False, {}, None, None, picture)
        suspects.add(Seen(position, found))
        assert len(suspects._kept) < 2 * 10 + 64
    kept = suspects.ranked()
    assert [seen.position for seen in kept] == sorted(range(1009), key=lambda position: -scores[position])[:10]
    assert not any(seen.found.image is picture for seen in kept)  # whose block would stay in memory
