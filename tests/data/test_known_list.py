"""Confirmed anomalies: read from any list a person would make, moved from the pool to the known ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.digits import digits
from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.known_list import confirm, confirmed_positions
from semigan_pl.data.splits import Splits


@pytest.fixture
def source(tmp_path: Path) -> ImageFiles:
    paths = [tmp_path / "photos" / f"{name}.png" for name in ("a", "b, c", "d", "é")]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("L", (2, 2)).save(path)
    return ImageFiles("photos", ["normal"], [0] * 4, [""] * 4, [str(path) for path in paths])


def written(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_text(text, encoding=encoding)
    return str(path)


def test_lists_of_every_kind(source: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, b, d, e = source.paths
    texts = (
        f'rank,index,path,score\n1,3,"{e}",9.5\n7,1,"{b}",2\n',
        f"Path;note\n{e};crack\n{b};\n",
        "index\n3\n1\n",
        "index,path\n3,\n,photos/b, c.png\n".replace(",photos/b, c.png", ',"photos/b, c.png"'),
        f"{e}\n\n{b}\n",
        "photos/../photos/b, c.png\n3\n3\n",
        f'"path","index"\n"{e}",""\n"",""\n"","1"\n',
        f'sep=;\n"Path";"index"\n{e};9\n;;\n;1.0\n',
        "index,score\n3.0,0.5\n1.00,\n",
        "3.0\n1.0\n",
    )
    for text in texts:
        assert confirmed_positions(written(tmp_path / "list.csv", text), source).tolist() == [1, 3], text
    assert confirmed_positions(written(tmp_path / "bom.csv", f"path\n{d}\n", "utf-8-sig"), source).tolist() == [2]


@pytest.mark.parametrize("has_root", [True, False])
def test_names_that_are_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_root: bool) -> None:
    monkeypatch.chdir(tmp_path)
    names = [os.fsdecode(b"a\xff.png"), os.fsdecode(b"b\xfe.png")]
    source = ImageFiles("x", ["normal"], [0] * 2, [""] * 2, [str(tmp_path / name) for name in names])
    written_as = (str(tmp_path / names[1]) if has_root else names[1]).encode(errors="backslashreplace").decode()
    assert "udcfe" in written_as
    assert confirmed_positions(written(tmp_path / "list.csv", f"path,score\n{written_as},1\n"), source).tolist() == [1]


def test_images_without_files() -> None:
    assert digits().paths[7] == "digits/7"


def test_errors_of_the_list(source: ImageFiles, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.known_list=.*nowhere is not a file"):
        confirmed_positions(str(tmp_path / "nowhere"), source)
    for text, words in (
        ("", "lists no image"),
        ("path,score\n", "lists no image"),
        ("index\n3\n4\n", "names 1 of 2 images that photos does not hold, such as 4"),
        ("elsewhere.png\n", "such as elsewhere.png: give paths"),
    ):
        with pytest.raises(ValueError, match=words):
            confirmed_positions(written(tmp_path / "list.csv", text), source)
    (tmp_path / "binary.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(ValueError, match="not text in UTF-8"):
        confirmed_positions(str(tmp_path / "binary.csv"), source)


def splits(**parts: list[int]) -> Splits:
    return Splits(*(np.array(parts.get(name, []), dtype=np.int64) for name in Splits._fields))


def test_confirmed_images_leave_the_pool() -> None:
    before = splits(train=[0, 1, 2], train_known=[3], val=[4, 5], val_known=[6], test=[7, 8])
    after = confirm(before, np.array([1, 3, 5, 6, 9]), before.test)
    expected = splits(train=[0, 2], train_known=[1, 3, 9], val=[4], val_known=[5, 6], test=[7, 8])
    for name in Splits._fields:
        assert getattr(after, name).tolist() == getattr(expected, name).tolist(), name


def test_a_test_image_cannot_be_confirmed() -> None:
    before = splits(train=[0, 1], val=[2], test=[3, 4])
    with pytest.raises(ValueError, match=r"names 1 images of the test set or of its groups \(the first is number 4\)"):
        confirm(before, np.array([1, 4]), before.test)
    with pytest.raises(ValueError, match="leaves no unlabelled image"):
        confirm(before, np.array([0, 1]), before.test)
