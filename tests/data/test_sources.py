"""Sources: layouts of folders and files, labels, errors."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semigan_pl.data.caltech256 import caltech256
from semigan_pl.data.digits import digits
from semigan_pl.data.folder import folder
from semigan_pl.data.image_source import existing_folder, image_files
from semigan_pl.data.torchvision_sets import IDX_FILES, torchvision_set

REAL_DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def real_data(name: str) -> Path:
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"needs the real images of ../shared/data/{name}, which are not here")
    return REAL_DATA / name


def write_image(path: Path, grey: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (grey, grey, grey)).save(path)


def test_digits() -> None:
    source = digits()
    assert (len(source), source.class_names) == (1797, list("0123456789"))
    assert np.bincount(source.classes).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    pixels = np.asarray(source.read(0))
    assert (pixels.shape, pixels.min(), pixels.max()) == ((8, 8), 0, 239)  # 15 of 16
    assert source.paths[3] == "digits/3"


# --- torchvision ----------------------------------------------------------------------------------------------------


def idx_bytes(array: np.ndarray) -> bytes:
    """The idx format: two zeros, type 8 (unsigned byte), number of dimensions, sizes, values."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write_idx(directory: Path, zipped: bool) -> None:
    directory.mkdir(parents=True)
    for name in IDX_FILES:
        n = 5 if name.startswith("train") else 3
        images = np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((n, 28, 28), dtype=np.uint8)
        content = idx_bytes(images if "images" in name else np.arange(n, dtype=np.uint8) % 10)
        (directory / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("layout", ["", "raw", "MNIST/raw", "FashionMNIST/raw"])
def test_idx_layouts(tmp_path: Path, layout: str, zipped: bool) -> None:
    write_idx(tmp_path / "root" / layout, zipped)
    dataset = "FashionMNIST" if "Fashion" in layout else "MNIST"
    source = torchvision_set(dataset, str(tmp_path / "root"), False, "mnist")
    assert source.parts.tolist() == ["train"] * 5 + ["test"] * 3
    assert source.classes.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert [np.asarray(source.read(position))[0, 0] for position in range(8)] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert source.class_names[1] == ("1" if dataset == "MNIST" else "Trouser")
    assert len(list((tmp_path / "root" / layout).iterdir())) == 4  # nothing is written beside the user's files


def test_cifar_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    base = tmp_path / CIFAR10.base_folder
    base.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        (base / name).write_bytes(pickle.dumps({"data": pixels.reshape(2, -1), "labels": [3, 8]}))
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {label}" for label in range(10)]}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *arguments: True)  # md5 of the real files
    source = torchvision_set("CIFAR10", str(tmp_path), False, "cifar10")
    assert (len(source), source.name, source.class_names[8]) == (12, "cifar10", "class 8")
    np.testing.assert_array_equal(np.asarray(source.read(11)), pixels[1].transpose(1, 2, 0))


def test_errors_of_torchvision_sets(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MNISTT is not a data set of torchvision"):
        torchvision_set("MNISTT", str(tmp_path), False, "mnist")
    with pytest.raises(FileNotFoundError, match=r"data\.root is not set.*data\.download=true"):
        torchvision_set("MNIST", None, True, "mnist")
    with pytest.raises(FileNotFoundError, match=r"data\.root=.*/nowhere is not a folder"):
        torchvision_set("MNIST", str(tmp_path / "nowhere"), False, "mnist")
    for dataset in ("MNIST", "CIFAR10"):
        with pytest.raises(FileNotFoundError, match=rf"data\.root=.* does not hold {dataset}"):
            torchvision_set(dataset, str(tmp_path), False, "mnist")
    write_idx(tmp_path / "idx", zipped=True)
    (tmp_path / "idx" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"data\.root: .* lacks t10k-labels-idx1-ubyte"):
        torchvision_set("MNIST", str(tmp_path / "idx"), False, "mnist")


def test_real_mnist() -> None:
    source = torchvision_set("MNIST", str(real_data("mnist")), False, "mnist")
    assert [int((source.parts == part).sum()) for part in ("train", "test")] == [60000, 10000]
    assert int(((source.classes == 8) & (source.parts == "test")).sum()) == 974
    assert source.class_names == list("0123456789")


# --- Caltech-256 ----------------------------------------------------------------------------------------------------


@pytest.fixture
def categories(tmp_path: Path) -> Path:
    base = tmp_path / "caltech" / "256_ObjectCategories"
    for number, name, n in ((1, "ak47", 0), (3, "backpack", 3), (224, "touring-bike", 2), (257, "clutter", 0)):
        (base / f"{number:03d}.{name}").mkdir(parents=True)
        (base / f"{number:03d}.{name}" / ".keep").touch()
        for image in range(1, n + 1):
            write_image(base / f"{number:03d}.{name}" / f"{number:03d}_{image:04d}.jpg", grey=image)
    for image in range(4):
        write_image(tmp_path / "caltech" / "BACKGROUND_Google" / f"image_{image:04d}.jpg")
    return base


def test_caltech_passes_over_empty_categories(categories: Path) -> None:
    (categories / "notes").mkdir()
    write_image(categories / "224.touring-bike" / "224_0095.jpg")  # in the real data a copy of 224_0004
    clutter = str(categories.parent / "BACKGROUND_Google")
    source = caltech256(str(categories), clutter)
    assert source.classes.tolist() == [2, 2, 2, 223, 223, 256, 256, 256, 256]  # number of the folder less one
    assert [source.class_names[label] for label in (0, 2, 223, 256)] == ["ak47", "backpack", "touring-bike", "clutter"]
    assert [Path(path).name for path in source.paths[:4]] == [
        "003_0001.jpg",
        "003_0002.jpg",
        "003_0003.jpg",
        "224_0001.jpg",
    ]
    assert source.outlier_classes == [256]
    assert set(source.parts) == {""}
    assert source.notes[0] == "Outliers come from the clutter folder BACKGROUND_Google, 4 images."
    assert "224_0095.jpg" in source.notes[1]
    for root, folder_of_clutter in ((categories.parent, clutter), (categories.parent, "BACKGROUND_Google")):
        assert caltech256(str(root), folder_of_clutter).paths == source.paths


def test_caltech_takes_its_own_clutter(categories: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"257\.clutter is empty: .*data\.clutter"):
        caltech256(str(categories), None)
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist: .*data\.clutter"):
        caltech256(str(categories), "nowhere")
    write_image(categories / "257.clutter" / "257_0001.jpg")
    source = caltech256(str(categories), None)
    assert source.classes.tolist() == [2, 2, 2, 223, 223, 256]
    assert source.notes == ["Outliers come from the clutter folder 257.clutter, 1 images."]


def test_caltech_without_categories(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root=.* holds no folder such as 003\.backpack"):
        caltech256(str(tmp_path), None)


def test_real_caltech() -> None:
    root = real_data("caltech256")
    source = caltech256(str(root), str(root / "BACKGROUND_Google"))
    counts = {source.class_names[label]: int((source.classes == label).sum()) for label in np.unique(source.classes)}
    assert counts == {
        "backpack": 151,
        "calculator": 100,
        "coffee-mug": 87,
        "computer-keyboard": 85,
        "computer-monitor": 133,
        "laptop-101": 128,
        "touring-bike": 109,  # 110, of which one is a copy
        "clutter": 467,
    }


# --- folder ---------------------------------------------------------------------------------------------------------


def test_folder_without_parts(tmp_path: Path) -> None:
    for name in ("normal/b.PNG", "normal/a.jpeg", "normal/deeper/c.bmp", "anomalous/x.tif", "anomalous/hole/y.png"):
        write_image(tmp_path / name)
    for name in ("anomalous/hole/tiny/z.png", "anomalous/normal/w.png", "normal/.hidden.png", "normal/.cache/v.png"):
        write_image(tmp_path / name)
    (tmp_path / "normal" / "readme.txt").touch()
    source = folder(str(tmp_path), "folder")
    names = [
        (source.class_names[label], Path(path).name) for label, path in zip(source.classes, source.paths, strict=True)
    ]
    assert names == [
        ("normal", "a.jpeg"),
        ("normal", "b.PNG"),
        ("normal", "c.bmp"),
        ("hole/tiny", "z.png"),
        ("hole", "y.png"),
        ("anomalous", "w.png"),
        ("anomalous", "x.tif"),
    ]
    assert set(source.parts) == {""}
    assert source.read(0).size == (6, 4)


def test_folder_with_parts(tmp_path: Path) -> None:
    for name in ("train/normal/a.png", "val/normal/b.png", "test/normal/c.png", "test/anomalous/d.png"):
        write_image(tmp_path / name)
    write_image(tmp_path / "normal" / "outside.png")
    source = folder(str(tmp_path), "folder")
    assert source.parts.tolist() == ["train", "val", "test", "test"]
    assert source.classes.tolist() == [0, 0, 0, 1]
    assert source.class_names == ["normal", "anomalous"]


def test_errors_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root is not set: .*normal/ and anomalous/"):
        folder(None, "folder")
    with pytest.raises(FileNotFoundError, match=r"data\.root=.* is not a folder"):
        folder(str(tmp_path / "nowhere"), "folder")
    write_image(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"data\.root=.* holds no normal images: .*train/, test/"):
        folder(str(tmp_path), "folder")


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    base = tmp_path / "photos"
    for path in (base / "normal/a.png", base / "normal/deep/b.png", base / ".hidden/c.png", tmp_path / "far/x/d.png"):
        write_image(path)
    (base / "normal" / "again").symlink_to(base / "normal" / "deep")  # an image counts once
    (base / "normal" / "far").symlink_to(tmp_path / "far")
    (base / "normal" / "loop").symlink_to(base / "normal")
    (base / "normal" / "up").symlink_to(tmp_path)
    (base / "normal" / ".far").symlink_to(tmp_path / "far" / "x")
    (base / "normal" / "gone").symlink_to(tmp_path / "gone")
    (tmp_path / "far" / "back").symlink_to(base / "normal" / "deep")
    found = [path.relative_to(base).as_posix() for path in image_files(base / "normal")]
    assert found == ["normal/a.png", "normal/deep/b.png", "normal/far/x/d.png"]
    (tmp_path / "entry").symlink_to(base)
    assert [path.name for path in image_files(tmp_path / "entry")] == ["a.png", "b.png", "d.png"]
    assert image_files(tmp_path / "gone") == []


def test_a_home_that_there_is_not() -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root=~nobody-here/x is not a folder: hint"):
        existing_folder("data.root", "~nobody-here/x", "hint")
