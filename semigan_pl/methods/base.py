"""What every method shares: inspecting images, calibrating, deciding; and alternating updates for adversarial ones."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.utils import parametrize

from semigan_pl.evaluation.calibration import Calibration, Decision
from semigan_pl.evaluation.scores import ScoreTable
from semigan_pl.latent_search import frozen
from semigan_pl.losses.adversarial import AdversarialLoss, check_gamma, discriminator_terms
from semigan_pl.losses.penalties import gradient_penalty, interpolate
from semigan_pl.types import Batch, Inspection, Prediction, cut, join


class AnomalyModule(LightningModule, ABC):
    """A detector: it inspects images, and once calibrated on validation it decides.

    `images_seen` counts unlabelled training images, over all processes; it is the only clock. Never count by
    `trainer.global_step`: under manual optimization it counts every optimizer's steps.

    Args:
        name: of the method, as its yaml is called.
        decision: which term decides, and how.
        block_size: images inspected at a time, always exactly so many.
    """

    terms: tuple[str, ...]  # names of what `inspect` returns: a class of a method states them

    def __init__(self, name: str, decision: Decision, block_size: int) -> None:
        super().__init__()
        decision.check(self.terms)
        self.name = name
        self.block_size = block_size
        self.decision = decision
        self.calibration: Calibration | None = None
        self.images_seen = 0
        self.batches_seen = 0

    @abstractmethod
    def inspect(self, images: Tensor) -> Inspection:
        """Terms, anomaly map and reconstruction of images (N, C, H, W) in [-1, 1]; an image's never depend on others."""

    def predict(self, images: Tensor) -> Prediction:
        """Inspects images (N, C, H, W) and picks the score; `fused` exists after calibration."""
        with frozen(self):
            inspection = join([self._inspect_block(block) for block in images.split(self.block_size)])
        terms = self.decision.complete(inspection.terms, self.calibration)
        # before calibration `fused` cannot exist; what it starts from stands in, and nothing is decided yet
        score = terms[self.decision.score if self.decision.score in terms else self.decision.search or ""]
        return Prediction(score, terms, inspection.anomaly_map, inspection.reconstruction)

    def _inspect_block(self, block: Tensor) -> Inspection:
        """Inspects at most `block_size` images, filled up to exactly that many.

        Measured: convolutions and matrix products of 3 and of 64 images differ in the last bits (the library picks
        other kernels for other shapes); those of equal shapes do not, wherever an image stands in the batch.
        """
        missing = self.block_size - len(block)
        padded = torch.cat([block, block[-1:].expand(missing, -1, -1, -1)])
        return cut(self.inspect(padded), len(block))

    def inspection_seconds(self, images: Tensor) -> float:
        """How long `inspect` takes for these images; a method whose inspection is long measures a part of it."""
        with frozen(self):  # in eval mode: asking for the time must not move a running statistic
            start = time.perf_counter()
            self.inspect(images)
            return time.perf_counter() - start

    def calibrate(self, validation: ScoreTable) -> None:
        """Fixes fusion and thresholds on validation scores; known anomalies have label 1."""
        own = {name: values for name, values in validation.terms.items() if name != "fused"}
        self.calibration = self.decision.calibrate(own, validation.labels)

    @property
    def threshold(self) -> float:
        """Scores above it are called anomalous. Raises RuntimeError before calibration."""
        if self.calibration is None:
            raise RuntimeError("this model is not calibrated yet: run it on validation data first")
        return self.calibration.thresholds[self.decision.score]

    def validation_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.predict(batch.images)

    def test_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.predict(batch.images)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.predict(batch.images)

    def get_extra_state(self) -> dict[str, Any]:
        """Counters and calibration travel in the state dict, as plain numbers."""
        return {
            "images_seen": self.images_seen,
            "batches_seen": self.batches_seen,
            "calibration": None if self.calibration is None else self.calibration.state(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.images_seen, self.batches_seen = state["images_seen"], state["batches_seen"]
        self.calibration = None if state["calibration"] is None else Calibration(**state["calibration"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Where training stands is `images_seen`; Lightning's own loop counters would only contradict it."""
        checkpoint.pop("loops", None)


class AdversarialModule(AnomalyModule):
    """Alternating discriminator and generator updates with the gamma mixture; a method adds `inspect`.

    The discriminator is shown known anomalies as a second kind of fake with weight 1 - gamma (Kimura & Yanagihara
    2018, eq. 15-19, balanced form). A method with other loss terms overrides the two dicts of terms.

    Args:
        generator: latents (N, latent_dim) to images, with `sample_latents(n, noise)`.
        discriminator: images to logits (N,), high for real and normal, with `features` and `verdict`.
        optimizers: {"generator": ..., "discriminator": ...}, each from parameters to an optimizer.
        loss: what both players pay.
        gamma: share of generated images on the fake side, in (0, 1]; 1 ignores the known anomalies.
        real_weight: weight of the real term: 1 (balanced) or "gamma" (the paper's equation 15 read literally).
        critic_steps: discriminator updates per generator update.
        name, decision, block_size: see AnomalyModule.
        seed: of the training noise, a function of (seed, images seen) alone.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizers: Mapping[str, Callable[..., torch.optim.Optimizer]],
        loss: AdversarialLoss,
        gamma: float,
        real_weight: float | str,
        critic_steps: int,
        name: str,
        decision: Decision,
        block_size: int,
        seed: int,
    ) -> None:
        super().__init__(name, decision, block_size)
        check_gamma(gamma)
        self.automatic_optimization = False
        # channels last: a step of the 32 px DCGAN takes 0.7 times as long on a CPU (measured), and GPUs prefer it too
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.make_optimizers = dict(optimizers)
        self.loss = loss
        self.gamma = gamma
        self.real_weight = gamma if real_weight == "gamma" else float(real_weight)
        self.critic_steps = critic_steps
        self.seed = seed
        self.noise = self.noise_at(0)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.make_optimizers["discriminator"](self.discriminator.parameters()),
            self.make_optimizers["generator"](self.generator.parameters()),
        ]

    def on_fit_start(self) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if self.gamma < 1 and data is not None and len(data.splits.train_known) == 0:
            raise ValueError(
                f"model.gamma={self.gamma} shows the discriminator known anomalies and there are none to train on "
                "(data.known_anomalies=0, or all of them went to validation): give some, or set model.gamma=1"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer_d, optimizer_g = self.optimizers()  # type: ignore[misc]
        self.noise = self.noise_at(self.images_seen)
        terms = self._update(optimizer_d, self.discriminator_terms, batch)
        self.batches_seen += 1
        if self.batches_seen % self.critic_steps == 0:  # a saved counter, not batch_idx: resuming must not shift it
            terms |= self._update(optimizer_g, self.generator_terms, batch)
        self.images_seen += int((batch.labels == 0).sum()) * self.trainer.world_size
        self._log(terms)

    def discriminator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_D term by term: named scalars whose sum the discriminator minimises."""
        real, known = batch.unlabelled, batch.known_anomalies if self.gamma < 1 else None
        with torch.no_grad():
            fake = self.generator(self.sample_latents(len(real)))
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        known_logits = None if known is None else self.discriminator(known)
        terms = discriminator_terms(self.loss, real_logits, fake_logits, known_logits, self.gamma, self.real_weight)
        if self.loss.gradient_penalty > 0:
            points = self._penalty_points(real, fake, known)
            terms["d_penalty"] = self.loss.gradient_penalty * gradient_penalty(self.discriminator, points).mean()
        return terms

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_G term by term. The factor gamma of the mixture is dropped: Adam is invariant to it."""
        fake = self.generator(self.sample_latents(len(batch.unlabelled)))
        return {"g_adversarial": self.loss.generator(self.discriminator(fake)).mean()}

    def sample_latents(self, n: int) -> Tensor:
        """The next `n` latents of this process: its slice of the noise of the global batch."""
        everyone = self.generator.sample_latents(n * self.trainer.world_size, self.noise)  # type: ignore[operator]
        return everyone[self.trainer.global_rank :: self.trainer.world_size].to(self.device)

    def noise_at(self, images_seen: int) -> torch.Generator:
        """The random numbers of one training step, a function of (seed, images_seen): resuming needs no RNG state."""
        state = np.random.SeedSequence([self.seed, images_seen]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))  # 63 bits: what manual_seed accepts

    def _penalty_points(self, real: Tensor, fake: Tensor, known: Tensor | None) -> Tensor:
        """Points between x_r and x_q ~ p_N: x_q is G(z) with probability gamma, else a known anomaly."""
        draws = torch.rand(2, len(real), generator=self.noise).to(real)
        if known is not None:
            looped = known[torch.arange(len(real), device=real.device) % len(known)]
            fake = torch.where((draws[0] < self.gamma).view(-1, 1, 1, 1), fake, looped)
        return interpolate(real, fake, draws[1])

    def _update(
        self, optimizer: LightningOptimizer, loss_terms: Callable[[Batch], dict[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """One step of one player. Spectral norms are computed once per step, not once per forward pass."""
        with self.toggled_optimizer(optimizer), parametrize.cached():
            terms = loss_terms(batch)
            optimizer.zero_grad()
            self.manual_backward(torch.stack(list(terms.values())).sum())
            optimizer.step()
        return terms

    def _log(self, terms: dict[str, Tensor]) -> None:
        """To every logger, against images_seen; and to the progress bar."""
        if self.batches_seen % self.trainer.log_every_n_steps:
            return
        values = {f"train/{name}": float(term.detach()) for name, term in terms.items()}
        for logger in self.loggers:
            logger.log_metrics(values, step=self.images_seen)
        self.log_dict(
            {name.removeprefix("train/"): value for name, value in values.items()}, prog_bar=True, logger=False
        )
