"""What every adversarial method shares: generator against discriminator, the gamma mixture, the averaged generator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from semigan_pl.checks import shown, whole, yes_or_no
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.latent_search import frozen
from semigan_pl.losses.adversarial import AdversarialLoss, check_gamma, discriminator_terms
from semigan_pl.losses.penalties import gradient_penalty, interpolate
from semigan_pl.methods.encoding import Encoding
from semigan_pl.methods.learned import LearnedModule
from semigan_pl.methods.updates import Updates
from semigan_pl.types import Batch

DISCRIMINATOR, GENERATOR = "discriminator", "generator"
PLAYERS = (DISCRIMINATOR, GENERATOR)  # of a plain game, the only one whose networks grow
ENCODER = "encoder"  # of an encoding: moves where the others no longer do


class AdversarialModule(LearnedModule):
    """Alternating discriminator and generator updates with the gamma mixture; a method adds `inspect`.

    The discriminator is shown known anomalies as a second kind of fake with weight 1 - gamma (Kimura & Yanagihara
    2018, eq. 15-19, balanced form). A method with other loss terms overrides those of a player. With an `encoding` the
    game ends some time before the training does: the rest trains an encoder, and nothing else moves.

    Args:
        generator: from `generator_inputs` (latents, here) to images.
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
        compile: translate the forward passes of both networks with torch.compile; the gradient penalty, and whatever
            else a method asks of them (codes, features), cannot use the translation.
        name, decision, block_size, seed: see LearnedModule.
    """

    opponents: tuple[str, ...] = (GENERATOR,)  # those who move against the discriminator, in this order
    encodes = True
    pays_by_verdict = True  # whether the generator is paid by what the discriminator says of its images

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
        of_encoder = {} if encoding is None else {ENCODER: encoding.make_optimizer}
        super().__init__({**optimizers, **of_encoder}, updates, name, decision, block_size, seed)
        check_gamma(gamma)
        if gan_checkpoint is not None and not self.encodes:
            raise ValueError(f"model.gan_checkpoint is of no use to model={name}: leave it out")
        if gan_checkpoint is not None and encoding is None:
            raise ValueError("model.gan_checkpoint is for training an encoder: add encoding=izi_f, or leave it out")
        self.layout = (
            torch.channels_last if yes_or_no("model.channels_last", channels_last) else torch.contiguous_format
        )
        self.generator = generator.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.encoding = None if encoding is None else encoding.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.gan_checkpoint = gan_checkpoint
        if yes_or_no("model.compile", compile):
            for network in (self.generator, self.discriminator):
                network.compile()
        self.loss = loss
        self.gamma = gamma
        if real_weight not in (1, "gamma"):
            raise ValueError(f"model.real_weight={shown(real_weight)} must be 1 (balanced) or gamma (literal)")
        self.real_weight = gamma if real_weight == "gamma" else 1.0
        self.critic_steps = whole("model.critic_steps", critic_steps, least=1)

    @property
    def best_generator(self) -> nn.Module:
        """What samples, searches and scores are made with: the averaged generator where one is kept."""
        return self.ema_generator if self.averaged else self.generator

    @property
    def players(self) -> tuple[str, ...]:
        game = (DISCRIMINATOR, *self.opponents)
        return game if self.encoding is None else (*game, ENCODER)

    def network_of(self, player: str) -> nn.Module:
        return self.encoding.encoder if player == ENCODER and self.encoding else super().network_of(player)

    def encodes_at(self, images_seen: int) -> bool:
        """Whether the batch that follows after so many images trains the encoder: the game is over by then."""
        if self.encoding is None:
            return False
        return self.gan_checkpoint is not None or images_seen >= self.encoding.begins_at

    @property
    def game_is_over(self) -> bool:
        """Whether the latest batch trained the encoder of an encoding, while all others rested."""
        return self.encoding is not None and self.moved == (ENCODER,)

    def turn(self) -> tuple[str, ...]:
        if self.encodes_at(self.images_seen):
            return (ENCODER,)
        # a saved counter, not batch_idx: resuming must not shift it
        completes = (self.batches_seen + 1) % self.critic_steps == 0
        return (DISCRIMINATOR, *self.opponents) if completes else (DISCRIMINATOR,)

    @property
    def cycle(self) -> int:
        return 1 if self.encodes_at(self.images_seen) else self.critic_steps

    def resting(self, player: str) -> tuple[nn.Module, ...]:
        return (self.generator, self.ema_generator, self.discriminator) if self.encoding and player == ENCODER else ()

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        return [] if self.game_is_over else [(self.ema_generator, self.generator)]

    def check_known(self, n_known: int) -> None:
        if self.gamma < 1 and n_known == 0:
            raise ValueError(
                f"model.gamma={self.gamma} shows the discriminator known anomalies and there are none to train on "
                "(data.known_anomalies=0, or all of them went to validation): give some, or set model.gamma=1"
            )

    def generator_inputs(self, real: Tensor) -> Tensor:
        """What the generator is given in a step on these unlabelled images (N, C, H, W): latents (N, latent_dim)."""
        return self.sample_latents(len(real))

    def fakes(self, real: Tensor) -> Tensor:
        """What the generator shows in the place of unlabelled images. (N, C, H, W) -> the same."""
        images: Tensor = self.generator(self.generator_inputs(real))
        return images

    def opinions(self, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For the discriminator's step: `fakes` of unlabelled images (N, C, H, W), f(real) and f(fakes), (N,) each."""
        with torch.no_grad():
            fake = self.fakes(real)
        return fake, self.discriminator(real), self.discriminator(fake)

    def logits(self, images: Tensor) -> Tensor:
        """The discriminator's opinion f(x) of images (N, C, H, W), (N,)."""
        # by `forward`: a compiled one would be translated anew for the few calls in eval mode
        opinion: Tensor = self.discriminator.forward(images)
        return opinion

    def logits_of_generated(self, images: Tensor, inputs: Tensor) -> Tensor:
        """f of images (N, C, H, W) that the generator made of these inputs, (N,), as the discriminator sees them."""
        return self.logits(images)

    def discriminator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_D term by term: named scalars whose sum the discriminator minimises."""
        real, known = batch.unlabelled, batch.known_anomalies if self.gamma < 1 else None
        fake, real_logits, fake_logits = self.opinions(real)
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
        return {"g_adversarial": self.loss.generator(self.discriminator(self.fakes(batch.unlabelled))).mean()}

    def encoder_terms(self, batch: Batch) -> dict[str, Tensor]:
        """L_E term by term, of unlabelled images: known anomalies are not what an encoder should learn to redraw."""
        assert self.encoding is not None
        return self.encoding.terms(batch.unlabelled, self.best_generator, self.discriminator, self.sample_latents)

    def sample_latents(self, n: int) -> Tensor:
        """The next `n` latents of this process and micro-batch: their slice of the noise of the global batch."""
        return self.own(self.generator.sample_latents(self.everyone(n), self.noise))  # type: ignore[operator]

    def samples(self, n: int) -> Tensor | None:
        generator = self.best_generator
        if not hasattr(generator, "sample_latents"):
            return None
        with torch.no_grad(), frozen(generator):
            z = generator.sample_latents(n, torch.Generator().manual_seed(0))  # type: ignore[operator]
            images: Tensor = generator(z.to(self.device))
        return images

    def _penalty_points(self, real: Tensor, fake: Tensor, known: Tensor | None) -> Tensor:
        """Points between x_r and x_q ~ p_N: x_q is G(z) with probability gamma, else a known anomaly."""
        draws = self.own(torch.rand(self.everyone(len(real)), 2, generator=self.noise)).T.to(real)
        if known is not None:
            looped = known[torch.arange(len(real), device=real.device) % len(known)]
            fake = torch.where((draws[0] < self.gamma).view(-1, *[1] * (fake.dim() - 1)), fake, looped)
        return interpolate(real, fake, draws[1])
