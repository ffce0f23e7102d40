"""Manifests: what a csv says of the images, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from semigan_pl.data.image_source import ImageFiles
from semigan_pl.data.manifest import manifest
from semigan_pl.data.splits import draw_splits
from tests.data.protocols import make_protocol
from tests.data.test_sources import write_image

TABLE = """path,label,class,mask,split,group
a.png,0,type A,,train,1
b.png,1,scratch,masks/b.png,test,2
deep/c.png,good,,masks/b.png,,1
d.png, NG ,,,VAL,3

e.png,anomalous,normal,,,
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "deep/c.png", "d.png", "e.png", "masks/b.png"):
        write_image(tmp_path / "images" / name)
    return tmp_path / "images"


def read(folder: Path, table: str, root: Path | None = None, encoding: str = "utf-8") -> ImageFiles:
    (folder / "list.csv").write_text(table, encoding=encoding)
    return manifest(str(folder / "list.csv"), None if root is None else str(root), "manifest")


def test_every_column(images: Path) -> None:
    source = read(images, TABLE)
    assert [Path(path).relative_to(images).as_posix() for path in source.paths] == [
        "a.png",
        "b.png",
        "deep/c.png",
        "d.png",
        "e.png",
    ]
    assert source.class_names == ["normal", "anomalous", "scratch"]
    # A normal image is "normal" whatever its class says; an anomalous one never is.
    assert [source.class_names[label] for label in source.classes] == [
        "normal",
        "scratch",
        "normal",
        "anomalous",
        "anomalous",
    ]
    assert source.parts.tolist() == ["train", "test", "", "val", ""]
    assert source.groups == ["1", "2", "1", "3", ""]
    assert source.masks == {1: str(images / "masks" / "b.png")}  # that of the normal image is passed over
    assert (source.has_masks, source.name, source.read(2).size) == (True, "manifest", (6, 4))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_dialects(images: Path, delimiter: str, encoding: str, line_end: str) -> None:
    lines = [" Label ,COLOUR,Path", "ok,red,a.png", "nok,blue,b.png", "TRUE,,d.png"]
    table = line_end.join(line.replace(",", delimiter) for line in lines)
    source = read(images, table, encoding=encoding)
    assert source.classes.tolist() == [0, 1, 1]
    assert [Path(path).name for path in source.paths] == ["a.png", "b.png", "d.png"]
    assert not source.has_masks
    assert set(source.groups) == set(source.parts) == {""}


def test_where_paths_start(images: Path, tmp_path: Path) -> None:
    table = f"path,label\na.png,0\n{images / 'b.png'},1\n./deep/../d.png,1\n"
    beside = read(images, table).paths
    assert beside == [str(images / name) for name in ("a.png", "b.png", "d.png")]
    (tmp_path / "elsewhere").mkdir()
    assert read(tmp_path / "elsewhere", table, root=images).paths == beside
    with pytest.raises(FileNotFoundError, match=r"data\.root=.*/nowhere is not a folder: .*data\.manifest"):
        read(images, table, root=tmp_path / "nowhere")


def test_short_lines_and_quoted_cells(images: Path) -> None:
    write_image(images / "comma, here.png")
    source = read(images, 'path,label,class,split\n"comma, here.png",1,"a ""deep"" one"\na.png,0,,,,\n')
    assert [Path(path).name for path in source.paths] == ["comma, here.png", "a.png"]
    assert source.class_names == ["normal", 'a "deep" one']


def test_parts_and_groups_reach_the_splits(tmp_path: Path) -> None:
    lines = ["path,label,group"]
    for image in range(40):
        write_image(tmp_path / f"{image}.png", grey=image)
        lines.append(f"{image}.png,{int(image >= 30)},{image // 2}")
    source = read(tmp_path, "\n".join(lines))
    protocol = make_protocol(normal_classes=["normal"], known_anomalies=None)
    splits = draw_splits(source.classes, source.parts, protocol, source.class_names, groups=source.groups)
    assert [len(positions) for positions in splits] == [22, 2, 2, 2, 12]  # 6 + 6 tested, in pairs
    pairs = [set((positions // 2).tolist()) for positions in (splits.train, splits.val, splits.test)]
    assert not pairs[0] & pairs[1]
    assert not (pairs[0] | pairs[1]) & pairs[2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "has no column path, only nothing"),
        ("file,label\na.png,0", "has no column path, only file, label: give a csv with"),
        ("path,class\na.png,0", "has no column label, only path, class"),
        ("path,label,Label\na.png,0,1", "has two columns label: rename one"),
        ("path,label\na.png,0,x", "line 2 has 3 cells for 2 columns: .*double quotes"),
        ("path,label\na.png,0\n\nb.png,maybe", "line 4: the label 'maybe' is unknown: use 0, normal, .*1, anomalous"),
        ("path,label\na.png", "line 2: the label '' is unknown"),
        ("path,label\n,0", "line 2: the path is empty"),
        ("path,label,split\na.png,0,exam", "line 2: the split 'exam' is unknown: use train, val or test"),
        ("path,label", "holds no normal image"),
        ("path,label\na.png,bad", "holds no normal image: label the normal ones 0 or normal"),
        ("path,label\na.png,0\nb.png,1\n./a.png,0", r"line 4: .*a\.png is named in line 2 already"),
        (
            "path,label,split,group\na.png,0,train,7\nb.png,0,,7\nd.png,1,test,7",
            r"group '7' lies in train \(line 2\) and in test \(line 4\): .*one split",
        ),
    ],
)
def test_errors_of_the_table(images: Path, table: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"list\.csv.*{message}"):
        read(images, table)


def test_missing_files_are_counted(images: Path) -> None:
    names = "\n".join(f"{name}.png,0" for name in "avwxyz")
    with pytest.raises(
        FileNotFoundError, match=r"5 of 6 images of .*v\.png \(line 3\), .*x\.png .*and others.*data\.r"
    ):
        read(images, f"path,label\n{names}")
    with pytest.raises(FileNotFoundError, match=r"1 of 1 masks of .*masks/d\.png \(line 3\): correct"):
        read(images, "path,label,mask\na.png,0,none.png\nd.png,1,masks/d.png")


def test_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.manifest is not set: give a csv"):
        manifest(None, None, "manifest")
    with pytest.raises(FileNotFoundError, match=r"data\.manifest=.* is not a file"):
        manifest(str(tmp_path), None, "manifest")
    with pytest.raises(ValueError, match=r"list\.csv cannot be read .*save it as a csv in UTF-8"):
        read(tmp_path, "path,label\nä.png,0", encoding="utf-16")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_first_line_for_excel(images: Path, first: str) -> None:
    table = f"{first}\r\npath;label;a,b,c\r\na.png;0.0\r\nb.png;1.0;d,e\r\n"
    source = read(images, table, encoding="utf-8-sig")
    assert source.classes.tolist() == [0, 1]
    with pytest.raises(ValueError, match="line 3: the label 'x' is unknown"):
        read(images, f"{first}\npath;label\na.png;x")
    assert read(images, "sep=\t\npath\tlabel\na.png\t0").classes.tolist() == [0]


def test_a_tilde_that_is_no_home(images: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images .*~nobody-here/x\.png \(line 3\)"):
        read(images, "path,label\na.png,0\n~nobody-here/x.png,0")
    write_image(images / "~b.png")
    assert read(images, "path,label\n~b.png,0").paths == [str(images / "~b.png")]
    with pytest.raises(FileNotFoundError, match=r"data\.manifest=~nobody-here/x\.csv is not a file"):
        manifest("~nobody-here/x.csv", None, "manifest")
