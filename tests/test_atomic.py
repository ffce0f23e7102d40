"""Files that are either whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from semigan_pl.atomic import replacing, write_bytes


def test_a_file_appears_whole_and_its_folder_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "metrics.json"
    with replacing(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == path.parent  # a rename across file systems would not be atomic
        assert partial.suffix == ".json"  # libraries choose a format by it
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_content_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_content_and_no_rubbish(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as partial:
            partial.write_text("ha")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "empty.json"):
        pass
    assert not list(tmp_path.iterdir())


def test_two_files_of_one_stem_do_not_meet(tmp_path: Path) -> None:
    with replacing(tmp_path / "run.json") as one, replacing(tmp_path / "run.yaml") as other:
        one.write_text("json")
        other.write_text("yaml")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"run.json": "json", "run.yaml": "yaml"}


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    write_bytes(tmp_path / "x.bin", b"longer than what follows" * 1000)
    write_bytes(tmp_path / "x.bin", content)
    assert (tmp_path / "x.bin").read_bytes() == content


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'é' * 125}.png"  # 254 bytes
    write_bytes(path, b"whole")
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [b"whole"]
    with replacing(path) as partial:
        partial.touch()
        assert list(tmp_path.glob("*.partial*")) == [partial]
