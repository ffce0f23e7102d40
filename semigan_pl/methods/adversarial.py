"""What every adversarial method shares: alternating updates, noise, the gamma mixture, the averaged generator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.utils import parametrize

from semigan_pl.checks import shown, whole
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.losses.adversarial import AdversarialLoss, check_gamma, discriminator_terms
from semigan_pl.losses.penalties import gradient_penalty, interpolate
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.types import Batch


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
        self.averaged = False  # whether a callback keeps `ema_generator`
        self.make_optimizers = dict(optimizers)
        self.loss = loss
        self.gamma = gamma
        if real_weight not in (1, "gamma"):
            raise ValueError(f"model.real_weight={shown(real_weight)} must be 1 (balanced) or gamma (literal)")
        self.real_weight = gamma if real_weight == "gamma" else 1.0
        self.critic_steps = whole("model.critic_steps", critic_steps, least=1)
        self.seed = whole("model.seed", seed, least=0)
        self.noise = self.noise_at(0)

    @property
    def best_generator(self) -> nn.Module:
        """What samples, searches and scores are made with: the averaged generator where one is kept."""
        return self.ema_generator if self.averaged else self.generator

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "averaged": self.averaged}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.averaged = state["averaged"]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.make_optimizers["discriminator"](self.discriminator.parameters()),
            self.make_optimizers["generator"](self.generator.parameters()),
        ]

    def check_known(self, n_known: int) -> None:
        if self.gamma < 1 and n_known == 0:
            raise ValueError(
                f"model.gamma={self.gamma} shows the discriminator known anomalies and there are none to train on "
                "(data.known_anomalies=0, or all of them went to validation): give some, or set model.gamma=1"
            )

    def on_fit_start(self) -> None:
        whole("trainer.log_every_n_steps", self.trainer.log_every_n_steps, least=1)  # type: ignore[attr-defined]
        if (data := getattr(self.trainer, "datamodule", None)) is not None:
            self.check_known(len(data.splits.train_known))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer_d, optimizer_g = cast(list[LightningOptimizer], self.optimizers())
        self.noise = self.noise_at(self.images_seen)
        terms = self._update(optimizer_d, self.discriminator_terms, batch)
        self.batches_seen += 1
        if self.batches_seen % self.critic_steps == 0:  # a saved counter, not batch_idx: resuming must not shift it
            terms |= self._update(optimizer_g, self.generator_terms, batch)
        self.images_seen += int((batch.labels == 0).sum()) * self.trainer.world_size
        self._log(terms)

    def on_train_end(self) -> None:
        """Running statistics differ between processes, each of its own batches: from now on the first one's count."""
        if self.trainer.world_size > 1:
            for value in self.state_dict().values():
                if isinstance(value, Tensor):
                    torch.distributed.broadcast(value, src=0)

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
        return self._own(everyone).to(self.device)

    def _own(self, everyone: Tensor) -> Tensor:
        """This process's share of rows that are drawn alike on every process, in the order of the global batch."""
        return everyone.chunk(self.trainer.world_size)[self.trainer.global_rank]

    def noise_at(self, images_seen: int) -> torch.Generator:
        """The random numbers of one training step, a function of (seed, images_seen): resuming needs no RNG state."""
        state = np.random.SeedSequence([self.seed, images_seen]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))  # 63 bits: what manual_seed accepts

    def _penalty_points(self, real: Tensor, fake: Tensor, known: Tensor | None) -> Tensor:
        """Points between x_r and x_q ~ p_N: x_q is G(z) with probability gamma, else a known anomaly."""
        draws = torch.rand(len(real) * self.trainer.world_size, 2, generator=self.noise)
        draws = self._own(draws).T.to(real)
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
        cycles, rest = divmod(self.batches_seen, self.critic_steps)
        if rest or (cycles > 1 and cycles % self.trainer.log_every_n_steps):  # type: ignore[attr-defined]
            return  # only where both players have moved
        values = {f"train/{name}": float(term.detach()) for name, term in terms.items()}
        for logger in self.loggers:
            logger.log_metrics(values, step=self.images_seen)
        self.log_dict(
            {name.removeprefix("train/"): value for name, value in values.items()}, prog_bar=True, logger=False
        )
