"""Synthetic surfaces: pixel truth, independence of images, no cue but the defect."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from semigan_pl.data.surface import PIXELS, SurfaceImages, surface
from semigan_pl.data.surface_drawing import DEFECTS, TEXTURES
from semigan_pl.data.transforms import ImageFormat
from tests.conftest import compose_config

KINDS = list(DEFECTS)
OPTIONS: dict[str, Any] = {
    "name": "surface",
    "image_size": 64,
    "train_images": 4,
    "train_anomalies": 5,
    "test_images": 12,
    "test_anomaly_share": 0.5,
    "kinds": KINDS,
    "textures": list(TEXTURES),
    "defect_share": 0.01,
    "contrast": 4,
    "seed": 0,
}


def made(**options: Any) -> SurfaceImages:
    return surface(**(OPTIONS | options))


def pixels(source: SurfaceImages, path: str) -> NDArray[np.float64]:
    return np.asarray(source.read(source.paths.index(path))).astype(np.float64)


def defective(source: SurfaceImages, path: str) -> NDArray[np.bool_]:
    return np.asarray(source.mask(source.paths.index(path))) > 127


def test_classes_and_parts() -> None:
    source = made()
    assert source.class_names == ["plain", "scratch", "spot", "stain"]
    counts = {
        part: np.bincount(source.classes[source.parts == part], minlength=4).tolist() for part in ("train", "test")
    }
    assert counts == {"train": [4, 2, 2, 1], "test": [6, 2, 2, 2]}  # every kind in turn
    assert source.paths[4:7] == ["train/scratch/0", "train/spot/0", "train/stain/0"]
    assert len(set(source.paths)) == len(source) == 21
    assert source.has_masks


def test_an_image_depends_on_nothing_but_its_path_and_the_looks() -> None:
    source = made()
    other = made(train_images=7, train_anomalies=0, test_images=30, kinds=["stain", "spot"], test_anomaly_share=0.4)
    for path in ("test/plain/3", "test/spot/1", "test/stain/0", "test/spot/1"):
        np.testing.assert_array_equal(pixels(source, path), pixels(other, path))
        np.testing.assert_array_equal(defective(source, path), defective(other, path))
    images = [source.read(position).tobytes() for position in range(len(source))]
    assert len(set(images)) == len(images)
    reseeded = made(seed=1)
    assert not set(images) & {reseeded.read(position).tobytes() for position in range(len(reseeded))}


def test_pixels_are_the_same_everywhere() -> None:
    """As with numpy 1.26 and 2.4, with and without vector instructions. Where they change on purpose: raise PIXELS."""
    source, digest = made(), hashlib.sha256()
    for position in range(len(source)):
        digest.update(source.read(position).tobytes() + source.mask(position).tobytes())
    assert (PIXELS, digest.hexdigest()[:16]) == (1, "8eac896509f227e6")


@pytest.mark.parametrize("image_size", [32, 77, 256])
def test_sizes(image_size: int) -> None:
    source = made(image_size=image_size)
    image_format = ImageFormat(image_size, 1, "stretch", None)
    for position in (0, 12, 16, 17, 18):
        image, mask = source.read(position), source.mask(position)
        assert (image.mode, image.size) == (mask.mode, mask.size) == ("L", (image_size, image_size))
        np.testing.assert_array_equal(image_format(image)[0], np.asarray(image))  # nothing is resampled
        np.testing.assert_array_equal(image_format.mask(mask), np.asarray(mask) == 255)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("image_size", "share"), [(128, 0.003), (128, 0.01), (64, 0.003), (128, 0.1)])
def test_share_of_defective_pixels(kind: str, image_size: int, share: float) -> None:
    source = made(image_size=image_size, defect_share=share, kinds=[kind], test_images=60)
    shares = [defective(source, f"test/{kind}/{number}").mean() for number in range(30)]
    assert share / 2 < min(shares) < max(shares) < 2 * share
    assert np.mean(shares) == pytest.approx(share, rel=0.15)


def test_plain_images_have_no_defect() -> None:
    source = made()
    assert not any(np.asarray(source.mask(int(position))).any() for position in np.flatnonzero(source.classes == 0))


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_changes_what_the_mask_shows(kind: str) -> None:
    faint, strong = (made(image_size=128, contrast=contrast, test_images=24) for contrast in (2, 5))
    for number in range(4):
        path = f"test/{kind}/{number}"
        change = np.abs(pixels(strong, path) - pixels(faint, path))
        mask = defective(faint, path)
        beside = grown(mask) & ~mask  # where a pixel is covered by less than half
        assert change[mask].sum() > 0.7 * change.sum()
        assert change[mask].mean() > 2 * change[beside].mean()
        assert change[mask | beside].sum() > 0.95 * change.sum()
        # 3 standard deviations of 9 to 16 grey levels, light from 0.8 to 1.2, at least half of the strongest change.
        assert 0.5 * 3 * 9 * 0.8 < change.max() < 3 * 16 * 1.2


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and the pixels beside it."""
    padded = np.pad(mask, 1)
    return padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2] | mask


def test_textures_differ_in_direction() -> None:
    def roughness_down_to_across(texture: str) -> float:
        image = pixels(made(image_size=128, textures=[texture]), "train/plain/0")
        return float(np.abs(np.diff(image, axis=0)).mean() / np.abs(np.diff(image, axis=1)).mean())

    assert roughness_down_to_across("brushed") > 1.8  # streaks run from left to right
    assert 0.5 < roughness_down_to_across("cast") < 2


def test_mean_and_contrast_do_not_tell() -> None:
    config = compose_config("data=surface", "data.train_images=2", "data.train_anomalies=0", "data.test_images=400")
    source = instantiate(config.data.source, _convert_="all")
    tested = np.flatnonzero(source.parts == "test")
    images = np.stack([np.asarray(source.read(int(position)), dtype=np.float64) for position in tested])
    anomalous = source.classes[tested] > 0
    assert images.shape == (400, 128, 128)
    assert int(anomalous.sum()) == 200
    assert 0.35 < roc_auc_score(anomalous, images.mean((1, 2))) < 0.65
    assert 0.35 < roc_auc_score(anomalous, images.std((1, 2))) < 0.65


def test_fingerprint() -> None:
    source = made()
    assert source.fingerprint([3, 1]) == made(test_images=20).fingerprint([3, 1]) != source.fingerprint([1, 3])
    assert source.fingerprint([3]) == made(kinds=["spot"]).fingerprint([3])  # other kinds, the same image
    looks: list[dict[str, Any]] = [{"image_size": 65}, {"textures": ["cast"]}, {"defect_share": 0.02}]
    looks += [{"contrast": 5}, {"seed": 1}]
    prints = {made(**look).fingerprint([1, 3]) for look in [{}, *looks]}
    assert len(prints) == 1 + len(looks)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"data\.kinds=\['dent'\] must name one or more of scratch, spot, stain"):
        made(kinds=["dent"])
    with pytest.raises(ValueError, match=r"data\.kinds=\['spot', 'spot'\] must .*each once"):
        made(kinds=["spot", "spot"])
    with pytest.raises(ValueError, match=r"data\.textures=\[\] must name one or more of brushed, cast"):
        made(textures=[])
    with pytest.raises(ValueError, match=r"data\.test_anomaly_share=1\.5 must lie in \[0, 1\]"):
        made(test_anomaly_share=1.5)
    for wrong in ({"defect_share": 0.3}, {"defect_share": 0}, {"contrast": 0}):
        with pytest.raises(
            ValueError, match=r"data\.defect_share=.* must lie in \(0, 0\.2\], data\.contrast=.* above 0"
        ):
            made(**wrong)
    with pytest.raises(ValueError, match=r"data\.defect_share=0\.001 is less than 4 of 32 x 32 px: raise it or"):
        made(defect_share=0.001, image_size=32)


def test_the_config_gives_pool_known_anomalies_and_masks() -> None:
    small = ["data.image_size=32", "data.train_images=90", "data.train_anomalies=40", "data.test_images=10"]
    data = instantiate(compose_config("data=surface", "data.known_anomalies=20", *small).data.module, _convert_="all")
    summary = data.summary()
    assert (summary["hidden_anomalies"], summary["known_anomalies"], summary["normal_classes"]) == (9, 18, ["plain"])
    assert sum(summary["counts"]["test"].values()) == 10
    batch = next(iter(data.test_dataloader()))
    assert tuple(batch.images.shape[1:]) == (1, 32, 32)
