"""What every trained method shares: players that take turns, and random numbers that resuming need not save."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.utils import parametrize

from semigan_pl.checks import whole
from semigan_pl.evaluation.calibration import Decision
from semigan_pl.latent_search import frozen
from semigan_pl.methods.base import AnomalyModule
from semigan_pl.methods.updates import Updates
from semigan_pl.types import Batch


class LearnedModule(AnomalyModule):
    """A method that is trained: its players move in turn, each along the gradient of loss terms of its own.

    A method names its `players` and adds `<player>_terms(batch)` for each: named scalars whose sum it minimises.

    Args:
        optimizers: player -> from parameters to an optimizer.
        updates: how the players step.
        name, decision, block_size: see AnomalyModule.
        seed: of the training noise, a function of (seed, images seen) alone.
    """

    encodes = False  # whether an `encoding` is of use to it
    grows = True  # whether its networks can follow a schedule of growing resolutions

    def __init__(
        self,
        optimizers: Mapping[str, Callable[..., torch.optim.Optimizer]],
        updates: Updates,
        name: str,
        decision: Decision,
        block_size: int,
        seed: int,
    ) -> None:
        super().__init__(name, decision, block_size)
        self.automatic_optimization = False
        self.make_optimizers = dict(optimizers)
        self.updates = updates
        self.seed = whole("model.seed", seed, least=0)
        self.averaged = False  # whether a callback keeps `averages`
        self.noise = self.noise_at(0)
        self.moved: tuple[str, ...] = ()  # who moved on the latest batch
        self._micro_batch = (0, 1)  # the one at work, and how many there are

    @property
    @abstractmethod
    def players(self) -> tuple[str, ...]:
        """Everybody who moves at some time, in the order of the optimizers."""

    def network_of(self, player: str) -> nn.Module:
        """What a player moves."""
        network: nn.Module = getattr(self, player)
        return network

    def turn(self) -> tuple[str, ...]:
        """Who moves on the batch to come, in this order."""
        return self.players

    @property
    def cycle(self) -> int:
        """Batches in which everybody who plays at this time has moved."""
        return 1

    def resting(self, player: str) -> tuple[nn.Module, ...]:
        """Networks that stand in eval mode while a player moves: not even a running statistic of theirs changes."""
        return ()

    def hands_on(self, player: str) -> bool:
        """Whether those who move after this player on the same batch take up what its terms were computed from."""
        return False

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        """Networks whose average over the training is what inspects, each with the one that is trained."""
        return []

    def samples(self, n: int) -> Tensor | None:
        """`n` images (n, C, H, W) that the method draws from nothing, always from the same latents; None: it cannot."""
        return None

    def get_extra_state(self) -> dict[str, Any]:
        return {**super().get_extra_state(), "averaged": self.averaged, "loss_scales": self.updates.state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self.averaged = state["averaged"]
        self.updates.load(state.get("loss_scales", {}))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.make_optimizers[player](self.network_of(player).parameters()) for player in self.players]

    def setup(self, stage: str) -> None:
        """Before a checkpoint is loaded: float16 needs scaled losses, and Lightning has one scale for all players."""
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
        self.moved, cycle = self.turn(), self.cycle
        values: dict[str, Tensor] = {}
        for player in self.moved:
            values |= self.move(player, batch)
        self.batches_seen += 1
        self.images_seen += int((batch.labels == 0).sum()) * self.trainer.world_size
        self._log(values, cycle)

    def on_train_end(self) -> None:
        """Running statistics differ between processes, each of its own batches: from now on the first one's count."""
        if self.trainer.world_size > 1:
            for value in self.state_dict().values():
                if isinstance(value, Tensor):
                    torch.distributed.broadcast(value, src=0)

    def noise_at(self, images_seen: int) -> torch.Generator:
        """The random numbers of one training step, a function of (seed, images_seen): resuming needs no RNG state."""
        state = np.random.SeedSequence([self.seed, images_seen]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))  # 63 bits: what manual_seed accepts

    def gaussian(self, *shape: int) -> Tensor:
        """The next N(0, 1) of this process and micro-batch, one row per image: their slice of the global batch's."""
        return self.own(torch.randn(self.everyone(shape[0]), *shape[1:], generator=self.noise))

    def everyone(self, n: int) -> int:
        """Rows of the global batch where this process and micro-batch have `n`."""
        return n * self._micro_batch[1] * self._process()[1]

    def own(self, rows: Tensor) -> Tensor:
        """This micro-batch's share of rows that are drawn alike on every process, in the order of the global batch."""
        part, parts = self._micro_batch
        process, processes = self._process()
        return rows.chunk(processes)[process].chunk(parts)[part].to(self.device)

    def _process(self) -> tuple[int, int]:
        """Which one this is, and how many there are."""
        return (0, 1) if self._trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def move(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """One step of one player; returns its loss terms and the norm of its gradient.

        Spectral norms are computed once per step, not once per forward pass. Gradients go to this player alone,
        whatever else its terms depend on.
        """
        network = self.network_of(player)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        optimizer = self._optimizer_of(player)
        loss_terms = getattr(self, f"{player}_terms")
        parts, noise = self.updates.micro_batches(batch), self.noise.get_state()
        values: dict[str, Tensor] = {}
        with frozen(*self.resting(player)), self.toggled_optimizer(optimizer), parametrize.cached():
            optimizer.zero_grad()
            for number, part in enumerate(parts):
                self.noise.set_state(noise)  # every part draws for the whole batch and takes its rows
                self._micro_batch = number, len(parts)
                terms = loss_terms(part)
                loss = self.updates.scalers[player].scale(torch.stack(list(terms.values())).sum() / len(parts))
                kept = number + 1 < len(parts) or self.hands_on(player)  # what parts share: spectral norms
                self.manual_backward(loss, inputs=weights, retain_graph=kept)
                values = {name: values.get(name, 0) + term.detach() / len(parts) for name, term in terms.items()}
            self._micro_batch = 0, 1
            norm = self.updates.step(player, network, optimizer, self.trainer.strategy)
        return values | {f"{player[0]}_gradient": norm}

    def _optimizer_of(self, player: str) -> LightningOptimizer:
        found = self.optimizers()  # Lightning hands out a single one without its list
        everybody = found if isinstance(found, list) else [found]
        return everybody[self.players.index(player)]  # type: ignore[return-value]

    def _log(self, values: dict[str, Tensor], cycle: int) -> None:
        """To every logger, against images_seen; and to the progress bar."""
        cycles, rest = divmod(self.batches_seen, cycle)
        if rest or (cycles > 1 and cycles % self.trainer.log_every_n_steps):  # type: ignore[attr-defined]
            return  # only where all who play have moved
        numbers = {name: float(value) for name, value in values.items()}
        for logger in self.loggers:
            logger.log_metrics({f"train/{name}": value for name, value in numbers.items()}, step=self.images_seen)
        shown = {name: value for name, value in numbers.items() if not name.endswith("_gradient")}
        self.log_dict(shown, prog_bar=True, logger=False)
