"""Where training in bfloat16 is said to be slow."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from semigan_pl.tasks import half_precision


def trainer(precision: str) -> pl.Trainer:
    return pl.Trainer(accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_slow_processor_is_named_with_what_to_type(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_precision, "slowdown", lambda: 11.7)
    said = half_precision.advice(trainer(precision))
    assert said is not None
    assert "12 times as long" in said
    assert "trainer.precision=32-true" in said


def test_nothing_is_said_of_a_processor_that_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_precision, "slowdown", lambda: 1.1)
    assert half_precision.advice(trainer("bf16-mixed")) is None


def test_nothing_is_measured_where_float32_is_trained_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_precision, "slowdown", lambda: pytest.fail("it was measured"))
    assert half_precision.advice(trainer("32-true")) is None


def test_the_measurement_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    assert half_precision.slowdown() > 0
    assert torch.equal(before, torch.get_rng_state())
