"""Any classical baseline on any features of images, under the protocol of all other methods."""

from __future__ import annotations

import copy
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semigan_pl.baselines.base import Baseline
from semigan_pl.baselines.principal_components import PrincipalComponents
from semigan_pl.checks import shown
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.features.base import Features
from semigan_pl.features.cache import CachedFeatures
from semigan_pl.latent_search import filled, frozen
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import Batch, Inspection, Prediction

INDUCTIVE, TRANSDUCTIVE = "inductive", "transductive"


class FeatureBaseline(AnomalyModule):
    """Fits a detector of outliers to the features of all unlabelled training images at once; labels are never used.

    Two protocols. `inductive`: the baseline is fitted to the training images and scores every other image by what it
    has learned, as all methods here do. `transductive`, as in the baselines' own papers: the set that is tested is
    itself fitted, outliers and all, and its points are scored by their part in that fit. Thresholds then come from
    another such fit, of all unlabelled images of training and validation and validation's known anomalies, in which
    validation's are read off (ours); that set has fewer outliers, as a rule, and the threshold is a rough one then. A
    transductive score belongs to its set: it cannot be had for one new image, and means nothing where outliers are in
    the majority (data.outlier_share).

    Its only term is `outlyingness`, (N,), the baseline's score. It has no anomaly map and no reconstruction.

    Args:
        features: images to feature vectors; of these, `features.components` principal components, if it names some.
        baseline: what is fitted to them.
        protocol: `inductive` or `transductive`.
        name, decision, block_size: see AnomalyModule.
    """

    terms = ("outlyingness",)
    grows = False
    reads_features = True

    def __init__(
        self,
        features: Features | None,
        baseline: Baseline,
        protocol: str,
        name: str,
        decision: Decision,
        block_size: int,
    ) -> None:
        super().__init__(name, decision, block_size)
        if protocol not in (INDUCTIVE, TRANSDUCTIVE):
            raise ValueError(f"model.protocol={shown(protocol)} is unknown: use {INDUCTIVE} or {TRANSDUCTIVE}")
        if features is None:
            raise ValueError(f"model={name} needs features of the images: leave features=none out, or name others")
        self.automatic_optimization = False
        self.features = features
        self.baseline = baseline
        self.protocol = protocol
        components = features.components
        self.reduction = None if components is None else PrincipalComponents(components)
        self._cached: CachedFeatures | None = None
        self._gathered: list[NDArray[np.float32]] = []  # of a training without a data module
        self._own: dict[int, float] = {}  # transductive: score by position in the data set

    def fetch(self, cache: Path, check_unseen: Callable[[dict[str, Any]], None]) -> None:
        self.features.fetch(check_unseen)
        if self.features.costly:
            self._cached = CachedFeatures(self.features, cache)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """None: nothing is learned step by step."""
        return []

    @property
    def is_fitted(self) -> bool:
        return bool(self.baseline.state())

    @property
    def _data(self) -> Any:
        """The data module; None where a bare loader trains."""
        return getattr(self.trainer, "datamodule", None)

    def on_train_start(self) -> None:
        """All unlabelled training images, each once; what a checkpoint has brought is fitted anew."""
        if self._data is None or self.protocol == TRANSDUCTIVE:
            return
        begun = time.perf_counter()
        points = self._features_of("train")
        self._fit(points)
        self.images_seen = len(points)
        if self.trainer.is_global_zero:
            self.trainer.print(f"{self.name}: fitted {self._size(points)} in {time.perf_counter() - begun:.1f} s.")  # type: ignore[attr-defined]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """-1, which ends the training, once there is nothing more to fit."""
        return -1 if self._data is not None or self.is_fitted else None

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Gathers the images of a bare loader; a data module has them all at hand."""
        self._gathered.append(self._vectors(batch.unlabelled))
        self.images_seen += int((batch.labels == 0).sum())

    def on_train_end(self) -> None:
        if self._gathered:
            self._fit(np.concatenate(self._gathered))
            self._gathered = []

    def on_validation_start(self) -> None:
        if self.protocol == TRANSDUCTIVE:
            self._fit_set("train", "val", "val_known")
        elif not self.is_fitted and self._data is not None:  # a training of no length (max_images=0) has no start
            self._fit(self._features_of("train"))

    def on_test_start(self) -> None:
        if self.protocol == TRANSDUCTIVE:
            self._fit_set("test")

    def judge(self, batch: Batch) -> Prediction:
        """By the fit that is kept; in the transductive protocol by the fit of the whole set."""
        if self.protocol == INDUCTIVE:
            return self.predict(batch.images)
        score = self._term(np.array([self._own[index] for index in batch.indices.tolist()]))
        return Prediction(score, {"outlyingness": score}, None, None)

    def check_new_images(self) -> None:
        if self.protocol == TRANSDUCTIVE:
            raise ValueError(
                f"model={self.name} was trained with model.protocol={TRANSDUCTIVE}, which scores a whole set and no new"
                f" image: train it with model.protocol={INDUCTIVE}"
            )

    def inspect(self, images: Tensor) -> Inspection:
        self.check_new_images()
        if not self.is_fitted:
            raise RuntimeError(f"{self.name} is not fitted yet: train it first")
        return Inspection({"outlyingness": self._term(self.baseline.anomaly_score(self._points(images)))})

    def get_extra_state(self) -> dict[str, Any]:
        reduced = {} if self.reduction is None else self.reduction.state()
        return {
            **super().get_extra_state(),
            "baseline": as_tensors(self.baseline.state()),
            "reduction": as_tensors(reduced),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.baseline.load_state(as_arrays(state["baseline"]))
        if self.reduction is not None:
            self.reduction.load_state(as_arrays(state["reduction"]))

    def _fit(self, vectors: NDArray[np.float32]) -> None:
        fitted(self.baseline, self.reduction, vectors)

    def _fit_set(self, *splits: str) -> None:
        """Scores every image of these splits by its part in a fit of them all; what training fitted stays."""
        vectors, parts = self._features_of(*splits), copy.deepcopy((self.baseline, self.reduction))
        scores = fitted(*parts, vectors).own_scores
        self._own = dict(zip(self._data.positions_of(*splits).tolist(), scores.tolist(), strict=True))

    def _features_of(self, *splits: str) -> NDArray[np.float32]:
        """Features of all images of these splits in the order of their positions, (N, D)."""
        return np.concatenate([self._vectors(batch.images) for batch in self._data.split_dataloader(*splits)])

    def _points(self, images: Tensor) -> NDArray[Any]:
        """What the baseline sees of images (N, C, H, W)."""
        vectors = self._vectors(images)
        return vectors if self.reduction is None else self.reduction.transform(vectors)

    def _vectors(self, images: Tensor) -> NDArray[np.float32]:
        """Features of images (N, C, H, W), (N, D), a block at a time."""
        return np.concatenate(list(self._blocks(images)))

    def _blocks(self, images: Tensor) -> Iterator[NDArray[np.float32]]:
        with frozen(self.features):  # spectral norms are computed once
            for block in images.split(self.block_size):
                features = (self._cached or self.features)(filled(block.to(self.device), self.block_size))
                yield features[: len(block)].cpu().numpy()

    def _term(self, scores: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(scores).float().to(self.device)

    def _size(self, points: NDArray[Any]) -> str:
        reduced = "" if self.reduction is None else f", reduced to {self.reduction.directions.shape[1]}"
        return f"{len(points):,} images, {points.shape[1]:,} features each{reduced},"


def fitted(baseline: Baseline, reduction: PrincipalComponents | None, vectors: NDArray[Any]) -> Baseline:
    """The baseline, fitted to feature vectors (N, D); what it warns of is printed as a sentence."""
    if reduction is not None:
        vectors = reduction.fit(vectors).transform(vectors)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        baseline.fit(vectors)
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"warning: {text}", file=sys.stderr)
    return baseline


def as_tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays as tensors, which a checkpoint that is read as data may hold."""
    return {
        name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


def as_arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse."""
    return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in state.items()}
