"""task=audit: the unlabelled pool ranked, and what a person confirms is learned by the next training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from semigan_pl.tasks.audit import Row, found_among, sentences
from tests.commands import SMALL, Run, call


@pytest.fixture(scope="module")
def audited(finished: tuple[Path, Run]) -> Path:
    place = finished[0].parent
    result = call(place, "task=audit", "checkpoint=first/checkpoints/last.ckpt", "run=audit", "cards=12")
    assert result.returncode == 0, result.stderr
    assert "hidden anomalies of this benchmark are found" in result.stdout
    return place / "audit"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "audit.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_unlabelled_is_ranked(audited: Path, finished: tuple[Path, Run]) -> None:
    table = rows(audited)
    data = json.loads((finished[0] / "data.json").read_text())
    assert len(table) == sum(data["counts"]["train"].values()) + sum(data["counts"]["val"].values())
    assert [int(row["rank"]) for row in table] == list(range(1, len(table) + 1))
    score = [float(row["score"]) for row in table]
    assert score == sorted(score, reverse=True)
    assert {row["split"] for row in table} == {"train", "val"}
    for split in ("train", "val"):
        counted = sum(data["counts"][split].values())
        assert sum(row["split"] == split for row in table) == counted
    assert all(float(row["score"]) == float(row["fused"]) for row in table)


def test_how_many_hidden_ones_are_in_front(audited: Path) -> None:
    hidden = np.array([row["class"] != "8" for row in rows(audited)])
    said = json.loads((audited / "audit.json").read_text())
    assert said["hidden_anomalies"] == hidden.sum()
    for percent in (5, 10, 20):
        first = hidden[: round(percent / 100 * len(hidden))].sum()
        assert said[f"found_in_first_{percent}%"] == pytest.approx(first / hidden.sum())


def test_the_page_shows_the_most_suspicious(audited: Path) -> None:
    page = (audited / "audit.html").read_text()
    table = rows(audited)
    assert f"Shown are 12 of {len(table)}" in page
    assert "data.known_list=confirmed.csv" in page


def test_what_is_confirmed_is_known_to_the_next_training(audited: Path) -> None:
    place, table = audited.parent, rows(audited)
    with (place / "confirmed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table[:4])
    result = call(
        place, *SMALL, "run=second", "max_images=64", "data.known_list=confirmed.csv", "data.known_anomalies=0"
    )
    assert result.returncode == 0, result.stderr
    counts = json.loads((place / "second" / "data.json").read_text())["counts"]
    known = sum(counts["train_known"].values()) + sum(counts["val_known"].values())
    assert known == 4
    assert sum(counts["train"].values()) + sum(counts["val"].values()) == len(table) - 4


def test_without_hidden_anomalies_nothing_is_claimed() -> None:
    clean = [Row(0, "a.png", "normal", "train", 1.0, False, {})] * 3
    assert found_among(clean, {"anomalous"}) == {}
    assert sentences({}) == []


def test_the_share_found_is_that_of_all_hidden() -> None:
    names = ["bad"] + ["ok"] * 17 + ["bad"] * 2
    ranked = [Row(i, "", name, "train", -float(i), False, {}) for i, name in enumerate(names)]
    found = found_among(ranked, {"bad"})
    assert found["hidden_anomalies"] == 3
    assert found["found_in_first_5%"] == found["found_in_first_20%"] == pytest.approx(1 / 3)
    assert "Of the 3 hidden anomalies" in sentences(found)[0]


def test_an_audit_needs_a_detector(tmp_path: Path) -> None:
    result = call(tmp_path, "task=audit")
    assert "task=audit needs a trained detector: add checkpoint=" in result.stderr


def test_only_what_was_trained_on_is_audited(audited: Path) -> None:
    place = audited.parent
    for option in ("seed=5", "data.contamination=0.3", "data.image_size=32", "data=mnist"):
        result = call(place, "task=audit", "checkpoint=first/checkpoints/last.ckpt", "run=other", option)
        assert result.returncode != 0
        assert f"{option} does not go with task=audit" in result.stderr
    content = torch.load(place / "first" / "checkpoints" / "last.ckpt", weights_only=True)
    content["data"]["used"] = content["data"]["used"][5:]  # as if the data had changed since
    torch.save(content, place / "moved.ckpt")
    result = call(place, "task=audit", "checkpoint=moved.ckpt", "run=other")
    assert "are not those that moved.ckpt was trained on" in result.stderr


def test_an_audit_is_not_overwritten(audited: Path) -> None:
    result = call(audited.parent, "task=audit", "checkpoint=first/checkpoints/last.ckpt", "run=audit")
    assert result.returncode != 0
    assert "audit.csv is there already" in result.stderr
