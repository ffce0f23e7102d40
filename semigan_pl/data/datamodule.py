"""The data of a run: splits, cached images, and the batches of training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

from semigan_pl.checks import whole, yes_or_no
from semigan_pl.data.batches import EvaluationBatches, TrainingBatches
from semigan_pl.data.cache import ImageCache, listing, unreadable
from semigan_pl.data.image_source import ImageSource
from semigan_pl.data.known_list import confirm, confirmed_positions
from semigan_pl.data.loader import BatchLoader, CachedImages, TrainingLoader
from semigan_pl.data.masks import PixelTruth, read_masks
from semigan_pl.data.protocol import ClassRoles, Protocol, assign_roles
from semigan_pl.data.pyramid import pyramid, smaller_resolutions
from semigan_pl.data.splits import Splits, draw_splits
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.growth import ProgressiveSchedule


class AnomalyDataModule(pl.LightningDataModule):
    """An image source under a protocol.

    Labels are 1 for known anomalies in training and validation, where hidden anomalies count as normal, and 1 for
    every anomalous image in test.

    Args:
        batch_size: unlabelled images in a training batch, over all processes; with a schedule its sizes count instead.
        known_batch_size: known anomalies in a training batch, over all processes; None means as many as unlabelled
            images. Without known anomalies there are none.
        eval_batch_size: images in a batch of validation and test.
        max_images: length of training, in unlabelled images seen.
        schedule: training batches are sized, read and cross-faded as its phases say; None: all at full size.
        known_list: file of known anomalies that a person confirmed (see `confirmed_positions`); None means none.
        skip_broken: leave out images that cannot be read; otherwise they stop the run before training.
    """

    def __init__(
        self,
        source: ImageSource,
        protocol: Protocol,
        image_format: ImageFormat,
        cache: ImageCache,
        batch_size: int,
        known_batch_size: int | None,
        eval_batch_size: int,
        max_images: int,
        schedule: ProgressiveSchedule | None,
        known_list: str | None,
        skip_broken: bool,
    ) -> None:
        super().__init__()
        if known_batch_size is not None:
            known_batch_size = whole("data.known_batch_size", known_batch_size, least=1)
        self.source = source
        self.protocol = protocol
        self.image_format = image_format
        self.cache = cache
        self.batch_size = whole("data.batch_size", batch_size, least=1)
        self.known_batch_size = known_batch_size
        self.eval_batch_size = whole("block_size", eval_batch_size, least=1)
        self.max_images = whole("max_images", max_images, least=0)
        self.schedule = schedule
        self.smaller = smaller_resolutions(schedule, image_format.image_size)
        self.skip_broken = yes_or_no("data.skip_broken", skip_broken)
        self.roles: ClassRoles = assign_roles(source.classes, protocol, source.class_names, source.outlier_classes)
        self.splits: Splits = self._drawn(protocol)
        if known_list is not None:
            self.splits = confirm(self.splits, confirmed_positions(known_list, source), self._test_side())
        self.broken: dict[int, str] = {}  # images left out, by position, with the reason
        self.seen_before: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # positions that weights taken over have seen
        self.scored: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # positions that validation and test leave out
        self._pyramid: dict[int, NDArray[np.uint8]] | None = None  # by resolution, (n_used, C, r, r)
        self._truth = PixelTruth(image_format.image_size)

    @property
    def class_names(self) -> list[str]:
        return self.source.class_names

    def class_name_of(self, index: int) -> str:
        """Class of the image at this position of the source."""
        return self.class_names[int(self.source.classes[index])]

    def path_of(self, index: int) -> str:
        """File of the image at this position of the source, or e.g. "train/123"."""
        return self.source.paths[index]

    def place_in_class(self, index: int) -> int:
        """How many test images of its class come before the test image at this position of the source."""
        return int(self._places[np.searchsorted(self.splits.test, index)])

    def _drawn(self, protocol: Protocol) -> Splits:
        source = self.source
        return draw_splits(
            source.classes, source.parts, protocol, source.class_names, source.outlier_classes, source.groups
        )

    def _test_side(self) -> NDArray[np.int64]:
        """What can never be trained on: all test images, whatever is left out of them, and their groups."""
        unlimited = self._drawn(replace(self.protocol, test_limit=None, outlier_share=None)).test
        groups = {self.source.groups[position] for position in unlimited.tolist()} - {""}
        of_groups = [position for position, group in enumerate(self.source.groups) if group in groups]
        official = np.flatnonzero(self.source.parts == "test") if not self.protocol.merge_parts else unlimited
        return np.union1d(np.union1d(unlimited, official), np.array(of_groups, dtype=np.int64))

    @property
    def used(self) -> NDArray[np.int64]:
        """Positions of all images that the splits use, sorted."""
        return np.sort(np.concatenate(self.splits))

    @property
    def has_pixel_truth(self) -> bool:
        """Whether the data set says which pixels of its anomalous images are defective."""
        return self.source.has_masks

    def pixel_truth(self, index: int) -> NDArray[np.bool_] | None:
        """Defective pixels of a test image, (H, W) at image_size; none of a normal one; None where it is not known."""
        if self.source.classes[index] in self.roles.normal:
            return np.zeros(self.image_format.shape[1:], dtype=bool)
        return self._truth[index]

    def prepare_data(self) -> None:
        """Reads the images on one process first, so that a memory-mapped file is built once."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Reads the images that the splits use, and the masks of the test set; a second call does nothing."""
        if self._pyramid is not None:
            return
        if self.skip_broken:
            self.broken = unreadable(self.source, self.used, self.image_format)
            self.splits = Splits(*(np.setdiff1d(positions, list(self.broken)) for positions in self.splits))
            self._check_what_is_left()
        images = self.cache.load(self.source, self.used, self.image_format, self.smaller)
        self._truth = read_masks(self.source, self._test_anomalies().tolist(), self.image_format)
        self._places = places_in_class(self.source.classes[self.splits.test])
        self._pyramid = pyramid(images, self.smaller)

    def _check_what_is_left(self) -> None:
        for split in ("train", "val", "test"):
            if not len(getattr(self.splits, split)):
                raise ValueError(
                    f"no image of {split} can be read, such as {next(iter(self.broken.values()))}: check data.root"
                )

    def train_dataloader(self) -> TrainingLoader:
        """Continues after the `images_seen` of the module that is trained."""
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        unlabelled, known = self.splits.train, self.splits.train_known
        positions = TrainingBatches(
            n_unlabelled=len(unlabelled),
            n_known=len(known),
            batch_size=self.batch_size,
            known_batch_size=self.known_batch_size if len(known) else 0,
            seed=self.protocol.seed,
            start=int(module.images_seen),
            stop=self.max_images,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            schedule=self.schedule,
        )
        return TrainingLoader(self._labelled(unlabelled, known), positions)

    def val_dataloader(self) -> BatchLoader:
        """The validation pool (label 0) and its known anomalies (label 1), without those `scored` already."""
        return self._evaluation(self._labelled(self.splits.val, self.splits.val_known), self.scored)

    def test_dataloader(self) -> BatchLoader:
        """The test set with the truth: label 1 for anomalous classes; without those `scored` already."""
        truth = np.isin(self.splits.test, self._test_anomalies())
        return self._evaluation(self._cached(self.splits.test, truth.astype(np.int64)), self.scored)

    def pool_dataloader(self) -> BatchLoader:
        """The unlabelled training images once, in order, labelled 0: for detectors that fit rather than step."""
        unlabelled = self.splits.train
        return self._evaluation(self._cached(unlabelled, np.zeros(len(unlabelled), dtype=np.int64)))

    def positions_of(self, *splits: str) -> NDArray[np.int64]:
        """Positions of all images of these splits, sorted."""
        return np.sort(np.concatenate([getattr(self.splits, split) for split in splits]))

    def split_dataloader(self, *splits: str) -> BatchLoader:
        """All images of these splits, once, labelled 0, on every process alike: for what is fitted to a set at once."""
        positions = self.positions_of(*splits)
        images = self._cached(positions, np.zeros(len(positions), dtype=np.int64))
        return BatchLoader(images, EvaluationBatches(np.arange(len(positions)), self.eval_batch_size, 0, 1))

    def unlabelled_dataloader(self) -> BatchLoader:
        """All that nobody labelled, of training and validation, once, labelled 0: what an audit looks through."""
        unlabelled = np.union1d(self.splits.train, self.splits.val)
        return self._evaluation(self._cached(unlabelled, np.zeros(len(unlabelled), dtype=np.int64)))

    def summary(self) -> dict[str, Any]:
        """What a report says of the data, ready for JSON. Only here do hidden anomalies count as what they are."""
        splits = self.splits
        known = len(splits.train_known)
        hidden = int(np.isin(self.source.classes[splits.train], self.roles.anomalous).sum())
        return {
            "name": self.source.name,
            "normal_classes": [self.class_names[label] for label in self.roles.normal],
            "known_classes": [self.class_names[label] for label in self.roles.known] if known else [],
            "image_size": self.image_format.image_size,
            "channels": self.image_format.channels,
            "notes": [*self.source.notes, *self._notes()],
            "counts": {split: self._counts(positions) for split, positions in splits._asdict().items()},
            "contamination": hidden / len(splits.train),
            "hidden_anomalies": hidden,
            "known_anomalies": known,
        }

    def _notes(self) -> list[str]:
        """What this reading of the data must state."""
        notes = []
        if self.broken:
            named = listing(list(self.broken.values()))
            notes.append(f"{len(self.broken)} images were left out since they cannot be read: {named}.")
        if self.has_pixel_truth and self._pyramid is not None:
            n_anomalous = len(self._test_anomalies())
            notes.append(
                f"{len(self._truth)} of {n_anomalous} anomalous test images have their defective pixels marked."
            )
        return notes

    def _test_anomalies(self) -> NDArray[np.int64]:
        return self.splits.test[np.isin(self.source.classes[self.splits.test], self.roles.anomalous)]

    def _counts(self, positions: NDArray[np.int64]) -> dict[str, int]:
        labels, counts = np.unique(self.source.classes[positions], return_counts=True)
        return {self.class_names[label]: int(count) for label, count in zip(labels, counts, strict=True)}

    def _labelled(self, unlabelled: NDArray[np.int64], known: NDArray[np.int64]) -> CachedImages:
        labels = np.repeat(np.array([0, 1], dtype=np.int64), [len(unlabelled), len(known)])
        return self._cached(np.concatenate([unlabelled, known]), labels)

    def _cached(self, positions: NDArray[np.int64], labels: NDArray[np.int64]) -> CachedImages:
        self.setup()
        assert self._pyramid is not None
        return CachedImages(self._pyramid, np.searchsorted(self.used, positions), labels, positions)

    def _evaluation(self, images: CachedImages, scored: Sequence[int] | NDArray[np.int64] = ()) -> BatchLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        left = np.flatnonzero(np.isin(images.indices.numpy(), scored, invert=True))
        return BatchLoader(images, EvaluationBatches(left, self.eval_batch_size, rank, world_size))


def places_in_class(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of its class come before each image, (n,), from their classes, (n,)."""
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[order], classes[order])  # where the class of each begins in this order
    places = np.empty(len(classes), dtype=np.int64)
    places[order] = np.arange(len(classes)) - starts
    return places
