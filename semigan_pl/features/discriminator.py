"""What the discriminator of a GAN learned to look at: features that need no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import Tensor, nn

from semigan_pl.checkpoints import check_weights, read_checkpoint
from semigan_pl.features.base import CheckUnseen, Features

PREFIX = "discriminator."  # of its weights in the state dict of a method
OF_DATA = ("image_size", "channels")  # settings that follow data.*


class Discriminator(Features):
    """The last hidden activations f_l of the discriminator of a GAN that this project trained.

    The GAN must not have seen what is tested; what it was trained on, with or without known anomalies, is its own
    protocol, and features of a discriminator that was shown known anomalies are not unsupervised.

    Args:
        network: with `features(images) -> (N, F)`, as it was in the GAN's run.
        checkpoint: last.ckpt of that run; read by `fetch`.
        components: see Features.
    """

    def __init__(self, network: nn.Module, checkpoint: str | None, components: int | None) -> None:
        super().__init__(components, ready=False)
        if not callable(getattr(network, "features", None)):
            raise ValueError(
                f"features.network={type(network).__name__} has no features of images: use"
                " network@features.network=dcgan_discriminator or the like"
            )
        self.network = network.eval().requires_grad_(False)
        self.checkpoint = checkpoint

    def fetch(self, check_unseen: CheckUnseen) -> None:
        """Takes the discriminator's weights out of the checkpoint.

        Raises FileNotFoundError where it is not there, ValueError where it is damaged, holds no discriminator or
        another one, or was trained on images that are tested here; then nothing is loaded.
        """
        path = existing(self.checkpoint)
        content = read_checkpoint(path)
        weights = {
            str(name).removeprefix(PREFIX): value
            for name, value in content["state_dict"].items()
            if str(name).startswith(PREFIX)
        }
        if not weights:
            raise ValueError(
                f"{path} holds no discriminator: give features.checkpoint=PATH of a run with one, such as model=semigan"
            )
        if shapes(weights) != shapes(self.network.state_dict()):
            raise ValueError(f"{path} holds another discriminator than features.network: {_to_type(content['config'])}")
        check_weights(path, {"state_dict": weights}, self.network)  # for numbers that are none
        check_unseen(content)
        self.network.load_state_dict(weights)
        self.ready.fill_(True)

    def _extract(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.features(images)  # type: ignore[operator]
        return features


def existing(checkpoint: str | None) -> Path:
    """The file of a checkpoint. Raises ValueError where none is named, FileNotFoundError where it is not there."""
    if checkpoint is None:
        raise ValueError(
            "features=discriminator needs features.checkpoint=PATH, the last.ckpt of a GAN that was trained before on"
            " the same data"
        )
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: correct features.checkpoint=PATH")
    return path


def shapes(state: dict[str, Any]) -> dict[str, Any]:
    """Names and shapes of weights; None for what is none."""
    return {name: getattr(value, "shape", None) for name, value in state.items()}


def _to_type(config: dict[str, Any]) -> str:
    """What to type to get the discriminator of an earlier config."""
    node = OmegaConf.select(OmegaConf.create(config), "model.discriminator")
    settings = {} if node is None else dict(OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]
    if any(isinstance(value, dict) for value in settings.values()):
        return "it judges pairs of images and latents, so give the checkpoint of another GAN"
    options = [_option(key, value) for key, value in settings.items()]
    return f"type {' '.join(options)}" if options else "give the checkpoint of another GAN"


def _option(key: str, value: Any) -> str:
    if key == "_target_":  # semigan_pl.networks.dcgan.DCGANDiscriminator is conf/network/dcgan_discriminator.yaml
        return f"network@features.network={str(value).split('.')[-2]}_discriminator"
    return f"data.{key}={value}" if key in OF_DATA else f"features.network.{key}={value}"
