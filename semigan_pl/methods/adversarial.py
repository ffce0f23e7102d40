"""What every adversarial method shares: alternating updates, the gamma mixture, the averaged generator, an encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.utils import parametrize

from semigan_pl.checks import shown, whole, yes_or_no
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.latent_search import frozen
from semigan_pl.losses.adversarial import AdversarialLoss, check_gamma, discriminator_terms
from semigan_pl.losses.penalties import gradient_penalty, interpolate
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.encoding import Encoding, izi_f_terms, izi_terms, ziz_terms
from semigan_pl.methods.updates import Updates
from semigan_pl.types import Batch

PLAYERS = ("discriminator", "generator")  # in the order in which they move, and in which their optimizers are kept
ENCODER = "encoder"  # moves where the two no longer do; its optimizer is the third


class AdversarialModule(AnomalyModule):
    """Alternating discriminator and generator updates with the gamma mixture; a method adds `inspect`.

    The discriminator is shown known anomalies as a second kind of fake with weight 1 - gamma (Kimura & Yanagihara
    2018, eq. 15-19, balanced form). A method with other loss terms overrides the two dicts of terms. With an
    `encoding` the game ends some time before the training does: the rest trains an encoder, and nothing else moves.

    Args:
        generator: latents (N, latent_dim) to images, with `sample_latents(n, noise)`.
        discriminator: images to logits (N,), high for real and normal, with `features` and `verdict`.
        optimizers: {"generator": ..., "discriminator": ...}, each from parameters to an optimizer.
        updates: how the players step.
        loss: what both players pay.
        encoding: the encoder and how it is trained; None: no encoder.
        gan_checkpoint: where generator and discriminator come from; then all of the training is the encoder's. Only
            whether there is one counts here: whoever builds this module loads it. None: they are trained.
        gamma: share of generated images on the fake side, in (0, 1]; 1 ignores the known anomalies.
        real_weight: weight of the real term: 1 (balanced) or "gamma" (the paper's equation 15 read literally).
        critic_steps: discriminator updates per generator update.
        channels_last: keep weights and activations channel by channel for each pixel.
        compile: translate both networks with torch.compile; the gradient penalty cannot use the translation.
        name, decision, block_size: see AnomalyModule.
        seed: of the training noise, a function of (seed, images seen) alone.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizers: Mapping[str, Callable[..., torch.optim.Optimizer]],
        updates: Updates,
        loss: AdversarialLoss,
        encoding: Encoding | None,
        gan_checkpoint: str | None,
        gamma: float,
        real_weight: float | str,
        critic_steps: int,
        channels_last: bool,
        compile: bool,
        name: str,
        decision: Decision,
        block_size: int,
        seed: int,
    ) -> None:
        super().__init__(name, decision, block_size)
        check_gamma(gamma)
        self.automatic_optimization = False
        layout = torch.channels_last if yes_or_no("model.channels_last", channels_last) else torch.contiguous_format
        self.generator = generator.to(memory_format=layout)
        self.discriminator = discriminator.to(memory_format=layout)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.averaged = False  # whether a callback keeps `ema_generator`
        self.encoding = None if encoding is None else encoding.to(memory_format=layout)
        if gan_checkpoint is not None and encoding is None:
            raise ValueError("model.gan_checkpoint is for training an encoder: add encoding=izi_f, or leave it out")
        self.gan_checkpoint = gan_checkpoint
        if yes_or_no("model.compile", compile):
            for network in (self.generator, self.discriminator):
                network.compile()
        self.make_optimizers = dict(optimizers)
        self.updates = updates
        self.loss = loss
        self.gamma = gamma
        if real_weight not in (1, "gamma"):
            raise ValueError(f"model.real_weight={shown(real_weight)} must be 1 (balanced) or gamma (literal)")
        self.real_weight = gamma if real_weight == "gamma" else 1.0
        self.critic_steps = whole("model.critic_steps", critic_steps, least=1)
        self.seed = whole("model.seed", seed, least=0)
        self.noise = self.noise_at(0)
        self._micro_batch = (0, 1)  # the one at work, and how many there are

    @property
    def best_generator(self) -> nn.Module:
        """What samples, searches and scores are made with: the averaged generator where one is kept."""
        return self.ema_generator if self.averaged else self.generator

    @property
    def players(self) -> tuple[str, ...]:
        """Everybody who moves at some time, in the order of the optimizers."""
        return PLAYERS if self.encoding is None else (*PLAYERS, ENCODER)

    def network_of(self, player: str) -> nn.Module:
        """What a player moves."""
        network: nn.Module = self.encoding.encoder if player == ENCODER and self.encoding else getattr(self, player)
        return network

    def encodes_at(self, images_seen: int) -> bool:
        """Whether the batch that follows after so many images trains the encoder: the game is over by then."""
        if self.encoding is None:
            return False
        return self.gan_checkpoint is not None or images_seen >= self.encoding.begins_at

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "averaged": self.averaged, "loss_scales": self.updates.state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.averaged = state["averaged"]
        self.updates.load(state.get("loss_scales", {}))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers = [self.make_optimizers[player](getattr(self, player).parameters()) for player in PLAYERS]
        if self.encoding is not None:
            optimizers.append(self.encoding.make_optimizer(self.encoding.encoder.parameters()))
        return optimizers

    def check_known(self, n_known: int) -> None:
        if self.gamma < 1 and n_known == 0:
            raise ValueError(
                f"model.gamma={self.gamma} shows the discriminator known anomalies and there are none to train on "
                "(data.known_anomalies=0, or all of them went to validation): give some, or set model.gamma=1"
            )

    def setup(self, stage: str) -> None:
        """Before a checkpoint is loaded: float16 needs scaled losses, and Lightning has one scale for both players."""
        precision: Any = self.trainer.precision_plugin
        if stage == "fit" and getattr(precision, "scaler", None) is not None:
            precision.scaler = None
            self.updates.scale_losses(self.trainer.strategy.root_device.type)

    def on_fit_start(self) -> None:
        whole("trainer.log_every_n_steps", self.trainer.log_every_n_steps, least=1)  # type: ignore[attr-defined]
        if (data := getattr(self.trainer, "datamodule", None)) is not None:
            self.check_known(len(data.splits.train_known))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.noise = self.noise_at(self.images_seen)
        encodes = self.encodes_at(self.images_seen)
        values = self.move(ENCODER if encodes else "discriminator", batch)
        self.batches_seen += 1
        # a saved counter, not batch_idx: resuming must not shift it
        if not encodes and self.batches_seen % self.critic_steps == 0:
            values |= self.move("generator", batch)
        self.images_seen += int((batch.labels == 0).sum()) * self.trainer.world_size
        self._log(values, 1 if encodes else self.critic_steps)

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
        if weight := self.loss.penalty_weight(self.batches_seen):
            points = self._penalty_points(real, fake, known)
            # gradients of gradients: in float32 however one trains, and torch.compile cannot follow them
            with torch.autocast(self.device.type, enabled=False):
                penalty = gradient_penalty(self.discriminator.forward, points.float())
            terms["d_penalty"] = weight * penalty.mean()
        return terms

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_G term by term. The factor gamma of the mixture is dropped: Adam is invariant to it."""
        fake = self.generator(self.sample_latents(len(batch.unlabelled)))
        return {"g_adversarial": self.loss.generator(self.discriminator(fake)).mean()}

    def encoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_E term by term, of unlabelled images: known anomalies are not what an encoder should learn to redraw."""
        assert self.encoding is not None
        images, encoder, generator = batch.unlabelled, self.encoding.encoder, self.best_generator
        if self.encoding.kind == "ziz":
            return ziz_terms(self.sample_latents(len(images)), encoder, generator)
        if self.encoding.kind == "izi":
            return izi_terms(images, encoder, generator)
        features = self.discriminator.features
        return izi_f_terms(images, encoder, generator, features, self.encoding.kappa)  # type: ignore[arg-type]

    def sample_latents(self, n: int) -> Tensor:
        """The next `n` latents of this process and micro-batch: their slice of the noise of the global batch."""
        everyone = self.generator.sample_latents(self._everyone(n), self.noise)  # type: ignore[operator]
        return self._own(everyone).to(self.device)

    def _everyone(self, n: int) -> int:
        """Rows of the global batch where this process and micro-batch have `n`."""
        return n * self._micro_batch[1] * self.trainer.world_size

    def _own(self, everyone: Tensor) -> Tensor:
        """This micro-batch's share of rows that are drawn alike on every process, in the order of the global batch."""
        part, parts = self._micro_batch
        return everyone.chunk(self.trainer.world_size)[self.trainer.global_rank].chunk(parts)[part]

    def noise_at(self, images_seen: int) -> torch.Generator:
        """The random numbers of one training step, a function of (seed, images_seen): resuming needs no RNG state."""
        state = np.random.SeedSequence([self.seed, images_seen]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))  # 63 bits: what manual_seed accepts

    def _penalty_points(self, real: Tensor, fake: Tensor, known: Tensor | None) -> Tensor:
        """Points between x_r and x_q ~ p_N: x_q is G(z) with probability gamma, else a known anomaly."""
        draws = torch.rand(self._everyone(len(real)), 2, generator=self.noise)
        draws = self._own(draws).T.to(real)
        if known is not None:
            looped = known[torch.arange(len(real), device=real.device) % len(known)]
            fake = torch.where((draws[0] < self.gamma).view(-1, 1, 1, 1), fake, looped)
        return interpolate(real, fake, draws[1])

    def move(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """One step of one player; returns its loss terms and the norm of its gradient.

        Spectral norms are computed once per step, not once per forward pass. While the encoder moves, both players
        stand in eval mode: not even a running statistic of theirs changes.
        """
        network, resting = self.network_of(player), (self.generator, self.ema_generator, self.discriminator)
        optimizer = cast(list[LightningOptimizer], self.optimizers())[self.players.index(player)]
        loss_terms = getattr(self, f"{player}_terms")
        parts, noise = self.updates.micro_batches(batch), self.noise.get_state()
        values: dict[str, Tensor] = {}
        with frozen(*resting if player == ENCODER else ()), self.toggled_optimizer(optimizer), parametrize.cached():
            optimizer.zero_grad()
            for number, part in enumerate(parts):
                self.noise.set_state(noise)  # every part draws for the whole batch and takes its rows
                self._micro_batch = number, len(parts)
                terms = loss_terms(part)
                loss = self.updates.scalers[player].scale(torch.stack(list(terms.values())).sum() / len(parts))
                self.manual_backward(loss, retain_graph=number + 1 < len(parts))  # what they share, spectral norms
                values = {name: values.get(name, 0) + term.detach() / len(parts) for name, term in terms.items()}
            norm = self.updates.step(player, network, optimizer, self.trainer.strategy)
        return values | {f"{player[0]}_gradient": norm}

    def _log(self, values: dict[str, Tensor], steps: int) -> None:
        """To every logger, against images_seen; and to the progress bar. A cycle takes `steps` batches."""
        cycles, rest = divmod(self.batches_seen, steps)
        if rest or (cycles > 1 and cycles % self.trainer.log_every_n_steps):  # type: ignore[attr-defined]
            return  # only where all who play have moved
        numbers = {name: float(value) for name, value in values.items()}
        for logger in self.loggers:
            logger.log_metrics({f"train/{name}": value for name, value in numbers.items()}, step=self.images_seen)
        shown = {name: value for name, value in numbers.items() if not name.endswith("_gradient")}
        self.log_dict(shown, prog_bar=True, logger=False)
