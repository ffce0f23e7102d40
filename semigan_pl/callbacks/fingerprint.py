"""Under which conditions scores come about: those of two sessions belong together only where these are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from pytorch_lightning import Trainer

from semigan_pl.callbacks.run_record import RunRecord
from semigan_pl.methods.base import AnomalyModule

NOT_OF_A_SCORE = ("run", "checkpoint", "trainer", "callbacks", "logger", "metrics")  # settings that change none


def conditions(trainer: Trainer, module: AnomalyModule, split: str) -> str:
    """What the scores of a split (val or test) depend on, as a hash: weights, settings, kind of device, images.

    Those of the test depend on the calibration too. Not on the number of processes, nor on the batches.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    state = module.state_dict()
    if split == "val":
        state["_extra_state"] = {**state["_extra_state"], "calibration": None}
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    config = next((callback.config for callback in callbacks if isinstance(callback, RunRecord)), {})
    settings = {name: node for name, node in config.items() if name not in NOT_OF_A_SCORE}
    settings["data"] = {**settings.get("data", {}), "cache_dir": None}  # which may be typed anew, or not
    device = [type(trainer.accelerator).__name__, str(trainer.precision)]
    parts = [data.splits.val, data.splits.val_known] if split == "val" else [data.splits.test]
    images = ((number, int(i), data.path_of(int(i))) for number, part in enumerate(parts) for i in part)
    return fingerprint(state, chain([settings, device], images))


def fingerprint(state: Mapping[str, Any], facts: Iterable[Any]) -> str:
    """A hash over a state dict, its tensors to the bit wherever they are, and whatever else JSON can tell."""
    digest = hashlib.sha256()
    for fact in chain(state.items(), facts):
        digest.update((json.dumps(fact, sort_keys=True, default=_words) + "\n").encode())
    return digest.hexdigest()


def _words(fact: Any) -> str:
    """What JSON cannot tell; of a tensor kind, shape and content."""
    if not isinstance(fact, torch.Tensor):
        return str(fact)
    content = fact.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return f"{fact.dtype} {list(fact.shape)} {hashlib.sha256(content).hexdigest()}"
