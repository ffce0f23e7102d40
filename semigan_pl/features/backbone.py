"""Features of networks that learned to classify ImageNet."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.fx import GraphModule
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from semigan_pl.checks import shown, whole
from semigan_pl.features.base import CheckUnseen, Features, resized

DEFAULT, RANDOM = "default", "random"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue in [0, 1]
RESCALING = ("googlenet", "inception_v3")  # their published weights are for inputs that the network scales once more


class Backbone(Features):
    """What one layer of a torchvision classification network makes of an image.

    Images of one channel are shown as three equal ones, all are resized to squares and standardized as ImageNet's.
    Output (N, C, h, w) is averaged over its positions.

    You et al. 2017 use 4096 features of a fully connected layer of VGG-16 (MEMORY); which of its two is not known, the
    first one after its ReLU is ours.

    Args:
        name: of the network, as torchvision.models calls it.
        layer: module or node whose output is taken, as torchvision's feature extraction calls it; what comes after it
            is cut off.
        weights: `default`: those that torchvision recommends, downloaded into its own cache; a path: a state dict of
            the whole network, in which the last layer may be of any shape; `random`: no pretraining, drawn once and
            for all from seed 0, which shows what the architecture alone is good for.
        input_size: px of the squares that the network sees.
        components: see Features.

    Raises ValueError for a network, layer or size that does not exist.
    """

    costly = True

    def __init__(self, name: str, layer: str, weights: str, input_size: int, components: int | None) -> None:
        super().__init__(components, ready=weights == RANDOM)
        if not isinstance(weights, str) or not weights:
            raise ValueError(f"features.weights={shown(weights)} must be {DEFAULT}, {RANDOM} or the path of a file")
        self.name, self.layer, self.weights = known(name), layer, weights
        self.input_size = whole("features.input_size", input_size, least=1)
        whole_network = _untrained(name)
        self._published = frozenset(whole_network.state_dict())  # names of all weights, those cut off too
        # channels_last: a VGG-16 takes 0.8 times as long on a CPU, a ResNet 0.9 times (measured)
        cut = _cut(whole_network, name, layer).requires_grad_(False)
        self.network = cut.to(memory_format=torch.channels_last)
        self._try_out()

    def extra_repr(self) -> str:
        return f"name={self.name}, layer={self.layer}, input_size={self.input_size}"

    def fetch(self, check_unseen: CheckUnseen) -> None:
        """Downloads or reads the weights. Raises FileNotFoundError where they are not to be had, ValueError where a
        file is damaged or another network's; then nothing is loaded."""
        if self.weights == RANDOM:
            return
        source, weights = _downloaded(self.name) if self.weights == DEFAULT else _read(Path(self.weights).expanduser())
        self.network.load_state_dict(self._checked(source, weights))
        self.ready.fill_(True)

    def _extract(self, images: Tensor) -> Tensor:
        if images.shape[1] not in (1, 3):
            raise ValueError(f"features of {self.name} are of images with 1 or 3 channels, not {images.shape[1]}")
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        shown_to_it = ((resized(images, self.input_size) + 1) / 2 - mean) / std
        output = self.network(shown_to_it.contiguous(memory_format=torch.channels_last))[self.layer]
        return output.mean((2, 3)) if output.ndim == 4 else output

    @torch.no_grad()
    def _try_out(self) -> None:
        """Raises ValueError if the layer gives no vectors, or the network takes no images of this size."""
        try:
            output = self._extract(torch.zeros(1, 3, self.input_size, self.input_size))
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"{self.name} takes no images of features.input_size={self.input_size} px ({error})"
            ) from error
        if output.ndim != 2:
            raise ValueError(
                f"features.layer={self.layer} of {self.name} gives arrays of shape {tuple(output.shape)}: take a layer"
                " that gives vectors (N, D) or maps (N, C, h, w)"
            )

    def _checked(self, source: str, weights: Any) -> dict[str, Tensor]:
        """The part of a whole network's state dict that is this one's."""
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise ValueError(f"{source} is no state dict (names of weights to tensors): save one by torch.save")
        own = self.network.state_dict()
        found = {_today(str(name), self._published): value for name, value in weights.items()}
        counters = {name for name in self._published if name.endswith("num_batches_tracked")}  # older files have none
        different = (self._published ^ found.keys()) - (counters - found.keys())
        different |= {name for name, _ in self.network.named_parameters() if name not in found}
        different |= {name for name, value in own.items() if name in found and found[name].shape != value.shape}
        if different:
            raise ValueError(
                f"{source} holds another network than features.name={self.name} ({len(different)} weights differ, such"
                f" as {min(different)}): correct features.weights=PATH or choose features= by the file"
            )
        taken = {name: found.get(name, value) for name, value in own.items()}
        for name, value in taken.items():
            if not torch.isfinite(value).all():
                raise ValueError(f"{source} holds weights that are no numbers ({name}): use another one")
        return taken


def known(name: Any) -> str:
    """The name of a classification network of torchvision. Raises ValueError for any other, with those most like it."""
    names = list_models(module=torchvision.models)
    if name in names:
        return str(name)
    near = difflib.get_close_matches(str(name), names, n=3) or ["resnet18", "vgg16", "efficientnet_b0"]
    raise ValueError(f"features.name={shown(name)} is no classification network of torchvision: try {', '.join(near)}")


def _untrained(name: str) -> nn.Module:
    """A whole network with the same first weights every time; leaves torch's own random numbers alone."""
    options = {"transform_input": True, "init_weights": False} if name in RESCALING else {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network: nn.Module = get_model(name, weights=None, **options)
    return network


def _cut(network: nn.Module, name: str, layer: str) -> nn.Module:
    """The network up to a layer. Raises ValueError, with some that there are, if there is no such layer."""
    try:
        cut = create_feature_extractor(network, [layer], suppress_diff_warning=True)
    except (ValueError, AttributeError, TypeError) as error:
        layers = get_graph_node_names(network, suppress_diff_warning=True)[1]
        some = difflib.get_close_matches(str(layer), layers, n=3) + layers[-6:-1]
        raise ValueError(
            f"features.layer={shown(layer)} is no layer of {name}: try {', '.join(dict.fromkeys(some))}"
        ) from error
    # of eval mode's graph alone: torchvision's own module switches between two, and copies of it forget the mode
    return GraphModule(cut, cut.eval().graph).eval()


def _today(name: str, published: frozenset[str]) -> str:
    """A weight's name: DenseNets were published when `norm.1` and `conv.2` could still be names of layers."""
    joined = re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", name)
    return joined if name not in published and joined in published else name


def _downloaded(name: str) -> tuple[str, Any]:
    """Address and content of torchvision's recommended weights, from its cache where they are there."""
    url = get_model_weights(name).DEFAULT.url
    try:
        return url, torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except Exception as error:  # the net, the disk and torch raise all kinds of them
        raise FileNotFoundError(
            f"the weights of {name} could not be downloaded ({type(error).__name__}: {error}): fetch {url} where it can"
            " be reached and add features.weights=PATH, or take features that need no download: features=pixels, pca"
            " or discriminator"
        ) from error


def _read(path: Path) -> tuple[str, Any]:
    """Name and content of a file of weights, loaded as data only."""
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}: correct features.weights=PATH, or let torchvision download: features.weights="
            f"{DEFAULT}"
        )
    try:
        return str(path), torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all kinds of them on a file that is none of its own
        raise ValueError(
            f"{path} is damaged or no file of weights ({type(error).__name__}): correct features.weights=PATH"
        ) from error
