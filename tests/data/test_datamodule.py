"""The data module: labels, caching, resuming with a trainer, and the configs that build it."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from PIL import Image

from semigan_pl.data.cache import ImageCache
from semigan_pl.data.datamodule import AnomalyDataModule, places_in_class
from semigan_pl.data.digits import digits
from semigan_pl.data.image_source import ImageFiles, ImageSource
from semigan_pl.data.protocol import Protocol
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.growth import Phase, ProgressiveSchedule, resize_to
from semigan_pl.types import Batch
from tests.conftest import compose_config
from tests.data.protocols import make_protocol

DATA_CONFIGS = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


def data_module(
    source: ImageSource | None = None,
    max_images: int = 64,
    schedule: ProgressiveSchedule | None = None,
    known_list: str | None = None,
    skip_broken: bool = False,
    **knobs: Any,
) -> AnomalyDataModule:
    defaults: dict[str, Any] = {"normal_classes": [8], "contamination": 0.1, "known_anomalies": 50}
    cache = ImageCache("unused", memory_mb=100)
    return AnomalyDataModule(
        source or digits(),
        make_protocol(**defaults | knobs),
        ImageFormat(16, 1, "stretch", None),
        cache,
        8,
        None,
        64,
        max_images,
        schedule,
        known_list,
        skip_broken,
    )


class Spy(pl.LightningModule):
    """Trains next to nothing; remembers what it was given, and leaves a checkpoint after so many batches."""

    images_seen: torch.Tensor

    def __init__(self, checkpoint_after: int = 0, path: Path | None = None) -> None:
        super().__init__()
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.automatic_optimization = False
        self.checkpoint_after, self.path = checkpoint_after, path
        self.batches: list[Batch] = []
        self.validated: list[int] = []

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.batches.append(batch)
        optimizer: Any = self.optimizers()
        self.manual_backward(self.weight**2)
        optimizer.step()
        self.images_seen.add_(int((batch.labels == 0).sum()))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint.pop("loops")  # as the project's modules do: images_seen alone says where training stands

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if len(self.batches) == self.checkpoint_after:
            self.trainer.save_checkpoint(str(self.path))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.validated += batch.indices.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data: AnomalyDataModule, spy: Spy, checkpoint: Path | None = None) -> Spy:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(spy, datamodule=data, ckpt_path=checkpoint)
    return spy


def test_labels_of_every_loader() -> None:
    data = data_module()
    data.setup()
    val, test = (
        [torch.cat(parts) for parts in zip(*loader, strict=True)]
        for loader in (data.val_dataloader(), data.test_dataloader())
    )
    # Hidden anomalies are in validation, labelled normal.
    hidden = [index for index in data.splits.val.tolist() if data.class_name_of(index) != "8"]
    assert hidden
    assert not val[1][torch.isin(val[2], torch.tensor(hidden))].any()
    assert val[2][val[1] == 1].tolist() == data.splits.val_known.tolist()
    assert test[2].tolist() == data.splits.test.tolist()
    assert test[1].tolist() == [int(data.class_name_of(index) != "8") for index in test[2].tolist()]


def test_what_is_scored_already_is_left_out() -> None:
    data = data_module()
    data.setup()
    unlabelled = sum(len(batch.indices) for batch in data.unlabelled_dataloader())
    splits = data.splits
    data.scored = np.concatenate([splits.val[:7], splits.val_known[1:], splits.test[::2]])
    validated = np.concatenate([batch.indices for batch in data.val_dataloader()])
    tested = np.concatenate([batch.indices for batch in data.test_dataloader()])
    np.testing.assert_array_equal(validated, np.concatenate([splits.val[7:], splits.val_known[:1]]))
    np.testing.assert_array_equal(tested, splits.test[1::2])
    for batch in data.test_dataloader():  # each with its own label
        np.testing.assert_array_equal(batch.labels, data.source.classes[batch.indices] != 8)
    assert sum(len(batch.indices) for batch in data.unlabelled_dataloader()) == unlabelled  # of the other loaders none


def test_places_in_class() -> None:
    assert places_in_class(np.array([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]
    assert places_in_class(np.zeros(0, dtype=np.int64)).tolist() == []
    data = data_module()
    data.setup()
    seen: Counter[str] = Counter()
    for index in data.splits.test.tolist():
        assert data.place_in_class(index) == seen[data.class_name_of(index)]
        seen[data.class_name_of(index)] += 1


def test_images_are_those_of_the_source() -> None:
    data = data_module()
    images, _, indices = next(iter(data.test_dataloader()))
    for image, index in zip(images, indices.tolist(), strict=True):
        expected = torch.from_numpy(data.image_format(data.source.read(index)).copy())
        assert torch.equal((image + 1).mul(127.5).round().to(torch.uint8), expected)
    assert data.path_of(int(indices[0])) == f"digits/{int(indices[0])}"


def test_setup_twice_reads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_module()
    data.prepare_data()
    monkeypatch.setattr(data.source, "read", lambda position: pytest.fail("read again"))
    data.setup("fit")
    data.setup("test")


def test_only_images_in_use_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_module(test_limit=20)
    read, positions = data.source.read, []

    def remembered(position: int) -> Any:
        positions.append(position)
        return read(position)

    monkeypatch.setattr(data.source, "read", remembered)
    data.setup()
    assert positions == np.sort(np.concatenate(data.splits)).tolist()
    assert len(positions) < 300


def test_training_knows_nothing_of_hidden_anomalies() -> None:
    data = data_module(known_classes=[1])
    spy = fit(data, Spy())
    indices = torch.cat([batch.indices[batch.labels == 1] for batch in spy.batches]).tolist()
    assert {data.class_name_of(index) for index in indices} == {"1"}
    unlabelled = torch.cat([batch.indices[batch.labels == 0] for batch in spy.batches])
    assert set(unlabelled.tolist()) <= set(data.splits.train.tolist())
    assert [batch.labels.tolist() for batch in spy.batches] == [[0] * 8 + [1] * 8] * 8


def test_no_known_anomalies_no_known_batch() -> None:
    spy = fit(data_module(known_anomalies=0), Spy())
    assert [batch.labels.tolist() for batch in spy.batches] == [[0] * 8] * 8


@pytest.mark.parametrize("batches", [1, 3, 7])
def test_resumed_training_sees_the_same_batches(tmp_path: Path, batches: int) -> None:
    path = tmp_path / "last.ckpt"
    whole = fit(data_module(), Spy(batches, path))
    resumed = fit(data_module(), Spy(), checkpoint=path)
    assert (len(whole.batches), int(resumed.images_seen)) == (8, 64)
    for expected, batch in zip(whole.batches[batches:], resumed.batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, batch, strict=True))
    assert resumed.validated == whole.validated  # at the end, once each
    assert len(set(whole.validated)) == len(whole.validated) > 0


GROWTH = ProgressiveSchedule(
    [
        Phase(4, fade=0, hold=22, batch_size=8, lr=0.1),
        Phase(8, fade=10, hold=6, batch_size=4, lr=0.1),
        Phase(16, fade=8, hold=8, batch_size=2, lr=0.1),
    ]
)


def test_growing_training_follows_the_schedule(tmp_path: Path) -> None:
    """Sizes, resolutions and fades of all batches; what is shown differs from the full size by the rounding alone."""
    data = data_module(schedule=GROWTH, max_images=54)
    spy = fit(data, Spy(4, tmp_path / "last.ckpt"))
    # 8 px begins at 22 images, within the third batch, and at 24 with 2 of its 10 fading images behind it.
    starts = [0, 8, 16, 24, 28, 32, 36, *range(40, 54, 2)]
    stages = [GROWTH.at(start) for start in starts]
    assert [batch.images.shape[-1] for batch in spy.batches] == [4] * 3 + [8] * 4 + [16] * 7
    assert stages[3].alpha == pytest.approx(0.2)
    assert [len(batch.unlabelled) for batch in spy.batches] == [8] * 3 + [4] * 4 + [2] * 7
    assert all(len(batch.unlabelled) == len(batch.known_anomalies) for batch in spy.batches)
    for batch, stage in zip(spy.batches, stages, strict=True):
        whole = np.stack([data.image_format(data.source.read(index)) for index in batch.indices.tolist()])
        expected = resize_to(torch.from_numpy(whole) / 127.5 - 1, stage)
        torch.testing.assert_close(batch.images, expected, atol=0.5001 / 127.5, rtol=0)
    resumed = fit(data_module(schedule=GROWTH, max_images=54), Spy(), checkpoint=tmp_path / "last.ckpt")
    for before, after in zip(spy.batches[4:], resumed.batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert next(iter(data.val_dataloader())).images.shape[-1] == 16


def test_growth_has_to_end_at_the_full_size() -> None:
    smaller = ProgressiveSchedule(GROWTH.phases[:2])
    with pytest.raises(ValueError, match=r"growth\.last=8 is not data\.image_size=16"):
        data_module(schedule=smaller)


def test_weights_from_elsewhere_continue_their_count() -> None:
    spy = Spy()
    spy.images_seen.fill_(40)
    assert len(fit(data_module(), spy).batches) == 3


def test_summary_counts_what_is_there() -> None:
    data = data_module(known_classes=[1, 2])
    summary = json.loads(json.dumps(data.summary()))
    assert summary["normal_classes"] == ["8"]
    assert summary["known_classes"] == ["1", "2"]
    assert {split: sum(counts.values()) for split, counts in summary["counts"].items()} == {
        split: len(positions) for split, positions in data.splits._asdict().items()
    }
    train = summary["counts"]["train"]
    assert summary["hidden_anomalies"] == sum(train.values()) - train["8"]
    assert summary["contamination"] == pytest.approx(summary["hidden_anomalies"] / sum(train.values()))
    assert summary["known_anomalies"] == 45


@pytest.mark.parametrize("name", DATA_CONFIGS)
def test_every_data_config_names_what_exists(name: str) -> None:
    config = compose_config(f"data={name}", "seed=5")
    OmegaConf.resolve(config.data)
    assert config.data.name == name
    assert config.data.module.protocol.seed == 5
    source = hydra.utils.get_object(config.data.source._target_)
    assert set(config.data.source) - {"_target_"} <= set(inspect.signature(source).parameters)
    protocol = hydra.utils.instantiate(config.data.module.protocol, _convert_="all")
    assert protocol == make_protocol(**{knob: config.data[knob] for knob in Protocol.__dataclass_fields__})


def test_config_builds_the_data_module(tmp_path: Path) -> None:
    on_disk = (f"data.cache_dir={tmp_path}", "data.cache_memory_mb=0")
    config = compose_config("data=digits", "max_images=640", "data.n_normal=2", *on_disk)
    data = hydra.utils.instantiate(config.data.module, _convert_="all")
    assert isinstance(data, AnomalyDataModule)
    assert (len(data.roles.normal), data.max_images, data.batch_size) == (2, 640, 32)
    assert next(iter(data.val_dataloader())).images.shape[1:] == (1, 16, 16)
    assert len(list(tmp_path.glob("digits_*.npy"))) == 1


# --- what a person adds, what is broken, which pixels are defective ---------------------------------------------------


def test_a_confirmed_list_is_learned(tmp_path: Path) -> None:
    before = data_module(known_anomalies=0)
    confirmed = np.concatenate([before.splits.train[:3], before.splits.val[:1]])
    (tmp_path / "confirmed.csv").write_text("index\n" + "\n".join(map(str, confirmed)))
    after = data_module(known_anomalies=0, known_list=str(tmp_path / "confirmed.csv"))
    assert after.splits.train_known.tolist() == confirmed[:3].tolist()
    assert after.splits.val_known.tolist() == confirmed[3:].tolist()
    assert not np.isin(confirmed, np.concatenate([after.splits.train, after.splits.val])).any()
    assert after.splits.test.tolist() == before.splits.test.tolist()
    batches = list(after.unlabelled_dataloader())
    unlabelled = np.concatenate([batch.indices for batch in batches])
    assert unlabelled.tolist() == sorted([*after.splits.train, *after.splits.val])
    assert not any(batch.labels.any() for batch in batches)


def test_no_image_of_the_test_side_is_learned(tmp_path: Path) -> None:
    """Neither one that a limit leaves out of the test, nor one of a tested group."""
    whole = data_module(known_anomalies=0).splits.test
    left_out = np.setdiff1d(whole, data_module(known_anomalies=0, test_limit=60).splits.test)
    (tmp_path / "list.csv").write_text(f"index\n{left_out[0]}\n")
    with pytest.raises(ValueError, match="names 1 images of the test set or of its groups"):
        data_module(known_anomalies=0, test_limit=60, known_list=str(tmp_path / "list.csv"))
    source = digits()
    source.groups = [str(number // 4) for number in range(len(source))]
    tested = data_module(source, known_anomalies=0, contamination=0.0, test_limit=60).splits
    unused = np.setdiff1d(np.arange(len(source)), np.concatenate(tested))
    of_tested = [n for n in unused.tolist() if source.groups[n] in {source.groups[t] for t in tested.test.tolist()}]
    (tmp_path / "list.csv").write_text(f"index\n{of_tested[0]}\n")
    with pytest.raises(ValueError, match="or of its groups"):
        data_module(source, known_anomalies=0, contamination=0.0, test_limit=60, known_list=str(tmp_path / "list.csv"))


def photos(folder: Path) -> ImageFiles:
    """30 normal and 10 anomalous images of 8 x 8 px; the anomalous ones, but for the last, with a mask."""
    rng = np.random.default_rng(0)
    masks, paths = {}, []
    for number in range(40):
        paths.append(str(folder / f"{number:02d}.png"))
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(paths[-1])
        if 30 <= number < 39:
            masks[number] = str(folder / f"{number:02d}_mask.png")
            Image.fromarray(np.diag([255] * 8).astype(np.uint8)).save(masks[number])
    return ImageFiles("photos", ["ok", "bad"], [0] * 30 + [1] * 10, [""] * 40, paths, masks=masks)


SOUND: dict[str, Any] = {"normal_classes": ["ok"], "contamination": 0.0, "known_anomalies": 0}


def test_broken_images_stop_the_run_or_are_left_out(tmp_path: Path) -> None:
    source = photos(tmp_path)
    whole = data_module(source, **SOUND)
    broken = [int(whole.splits.train[0]), int(whole.splits.test[0])]
    for position in broken:
        Path(source.paths[position]).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"2 of \d+ images of photos cannot be read: .*data\.skip_broken=true"):
        data_module(source, **SOUND).setup()
    rest = data_module(source, skip_broken=True, **SOUND)
    rest.setup()
    assert sorted(rest.broken) == sorted(broken)
    for before, after in zip(whole.splits, rest.splits, strict=True):
        assert after.tolist() == [position for position in before if position not in broken]
    assert any("2 images were left out since they cannot be read" in note for note in rest.summary()["notes"])
    indices = np.concatenate([batch.indices for batch in rest.test_dataloader()])
    assert indices.tolist() == rest.splits.test.tolist()


def test_without_the_broken_images_nothing_may_be_left(tmp_path: Path) -> None:
    source = photos(tmp_path)
    data = data_module(source, skip_broken=True, **SOUND)
    for position in data.splits.val:
        Path(source.paths[position]).write_bytes(b"no image")
    with pytest.raises(ValueError, match="no image of val can be read"):
        data.setup()


def test_pixel_truth_of_the_test_set(tmp_path: Path) -> None:
    data = data_module(photos(tmp_path), **SOUND)
    data.setup()
    assert data.has_pixel_truth
    assert not data_module().has_pixel_truth
    for position in data.splits.test.tolist():
        truth = data.pixel_truth(position)
        if position == 39:
            assert truth is None
        else:
            assert truth is not None
            assert truth.shape == (16, 16)
            assert truth.any() == (position >= 30)
    n_anomalous = int((data.splits.test >= 30).sum())
    n_marked = int(((data.splits.test >= 30) & (data.splits.test < 39)).sum())
    assert f"{n_marked} of {n_anomalous} anomalous test images have" in data.summary()["notes"][-1]
