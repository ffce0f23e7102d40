"""Backbones: the network's own numbers, weights that come whole or not at all, and errors that say what to do."""

from __future__ import annotations

import copy
import socket
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from semigan_pl.features.backbone import Backbone, _today, _untrained

IMAGES = torch.rand(8, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
SIZE = 48


def check_unseen(content: dict[str, Any]) -> None:
    raise AssertionError("ImageNet's weights are no checkpoint")


def backbone(name: str = "resnet18", layer: str = "avgpool", weights: str = "random", size: int = SIZE) -> Backbone:
    return Backbone(name, layer, weights, size, None)


@pytest.fixture(scope="module")
def drawn() -> Backbone:
    return backbone()


@pytest.fixture
def other() -> dict[str, Tensor]:
    """A whole ResNet-18's weights, other ones than `random` draws."""
    state = get_model("resnet18", weights=None).state_dict()
    return {name: value + 0.01 if value.is_floating_point() else value for name, value in state.items()}


def saved(folder: Path, state: Any) -> str:
    torch.save(state, folder / "weights.pth")
    return str(folder / "weights.pth")


def reference(network: nn.Module, images: Tensor) -> Tensor:
    """ResNet-18's average pool, written out; images (N, 3, 48, 48) in [-1, 1]."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((images * 0.5 + 0.5) - mean[:, None, None]) / std[:, None, None]
    net: Any = network.eval()
    with torch.no_grad():
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        return net.layer4(net.layer3(net.layer2(net.layer1(x)))).mean((2, 3))


def test_features_are_what_the_layer_gives(drawn: Backbone) -> None:
    expected = reference(_untrained("resnet18"), IMAGES)
    torch.testing.assert_close(drawn(IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert drawn(IMAGES).shape == (8, 512)
    torch.testing.assert_close(backbone(layer="layer4")(IMAGES), expected, rtol=1e-4, atol=1e-4)


def test_grey_images_are_shown_as_three_equal_channels(drawn: Backbone) -> None:
    grey = IMAGES[:, :1]
    torch.testing.assert_close(drawn(grey), drawn(grey.expand(-1, 3, -1, -1).contiguous()))
    with pytest.raises(ValueError, match="features of resnet18 are of images with 1 or 3 channels, not 2"):
        drawn(IMAGES[:, :2])


def test_images_of_any_size_are_resized(drawn: Backbone) -> None:
    assert drawn(torch.zeros(2, 1, 20, 31)).shape == (2, 512)
    flat = torch.full((1, 3, 30, 30), 0.25)
    torch.testing.assert_close(drawn(flat), drawn(torch.full((1, 3, SIZE, SIZE), 0.25)))


def test_features_of_an_image_are_the_same_to_the_bit_in_every_block(drawn: Backbone) -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn(IMAGES[order]), drawn(IMAGES)[order])
    among_others = torch.cat([torch.rand(5, 3, SIZE, SIZE), IMAGES[:3]])
    assert torch.equal(drawn(among_others)[5:], drawn(IMAGES)[:3])


def test_nothing_switches_batchnorm_on_and_copies_are_the_same(drawn: Backbone) -> None:
    before = drawn(IMAGES)
    twin = copy.deepcopy(drawn).train()
    assert not any(module.training for module in [*drawn.modules(), *twin.modules()])
    assert torch.equal(twin(IMAGES), before)
    assert torch.equal(twin(IMAGES), before)  # and no statistic moved
    assert twin.fingerprint() == drawn.fingerprint()


def test_random_weights_are_always_the_same_and_leave_the_random_numbers_alone(drawn: Backbone) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    again = backbone()
    assert torch.equal(torch.rand(4), expected)
    assert again.fingerprint() == drawn.fingerprint()
    again.fetch(check_unseen)
    assert again.fingerprint() == drawn.fingerprint() != backbone(layer="layer4").fingerprint()


def test_weights_from_a_file_travel_on_in_the_state_dict(tmp_path: Path, other: dict[str, Tensor]) -> None:
    path = saved(tmp_path, other)
    features = backbone(weights=path)
    with pytest.raises(RuntimeError, match="Backbone features have no weights yet"):
        features(IMAGES)
    features.fetch(check_unseen)
    network = get_model("resnet18", weights=None)
    network.load_state_dict(other)
    torch.testing.assert_close(features(IMAGES), reference(network, IMAGES), rtol=1e-4, atol=1e-4)
    Path(path).unlink()
    rebuilt = backbone(weights=path)
    rebuilt.load_state_dict(features.state_dict())
    assert torch.equal(rebuilt(IMAGES), features(IMAGES))


def test_a_file_may_have_another_last_layer_and_no_counters(tmp_path: Path, other: dict[str, Tensor]) -> None:
    tuned = {name: value for name, value in other.items() if not name.endswith("num_batches_tracked")}
    tuned |= {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    features = backbone(weights=saved(tmp_path, tuned))
    features.fetch(check_unseen)
    assert torch.equal(features.network.state_dict()["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("network", ["resnet34", "resnet50", "mobilenet_v3_small"])
def test_weights_of_another_network_are_not_half_loaded(tmp_path: Path, network: str) -> None:
    features = backbone(weights=saved(tmp_path, get_model(network, weights=None).state_dict()))
    before = features.fingerprint()
    with pytest.raises(ValueError, match=r"holds another network than features\.name=resnet18 \(\d+ weights differ"):
        features.fetch(check_unseen)
    assert features.fingerprint() == before
    assert not features.ready


def test_damaged_files_are_named(tmp_path: Path, other: dict[str, Tensor]) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.pth: correct features\.weights=PATH"):
        backbone(weights=str(tmp_path / "nowhere.pth")).fetch(check_unseen)
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(ValueError, match=r"text\.pth is damaged or no file of weights \(\w+\)"):
        backbone(weights=str(tmp_path / "text.pth")).fetch(check_unseen)
    with pytest.raises(ValueError, match="is no state dict"):
        backbone(weights=saved(tmp_path, {"state_dict": other})).fetch(check_unseen)
    other["layer1.0.conv1.weight"] = other["layer1.0.conv1.weight"] * torch.nan
    with pytest.raises(ValueError, match=r"holds weights that are no numbers \(layer1\.0\.conv1\.weight\)"):
        backbone(weights=saved(tmp_path, other)).fetch(check_unseen)


def test_default_weights_are_downloaded(monkeypatch: pytest.MonkeyPatch, other: dict[str, Tensor]) -> None:
    asked = []

    def download(url: str, **options: Any) -> dict[str, Tensor]:
        asked.append(url)
        assert options["weights_only"]
        return other

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    features = backbone(weights="default")
    assert not asked
    features.fetch(check_unseen)
    assert asked == [get_model_weights("resnet18").DEFAULT.url]
    assert torch.equal(features.network.state_dict()["bn1.weight"], other["bn1.weight"])


def test_without_a_network_the_file_to_bring_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    features = backbone(weights="default")
    with pytest.raises(FileNotFoundError) as raised:
        features.fetch(check_unseen)
    sentence = str(raised.value)
    assert "the weights of resnet18 could not be downloaded" in sentence
    assert "Name or service not known" in sentence
    assert f"fetch {get_model_weights('resnet18').DEFAULT.url} " in sentence
    assert "features.weights=PATH" in sentence


def test_densenets_are_published_under_older_names() -> None:
    with torch.device("meta"):
        names = frozenset(get_model("densenet121", weights=None).state_dict())
    within = "features.denseblock1.denselayer1"
    assert _today(f"{within}.norm.1.weight", names) == f"{within}.norm1.weight" in names
    assert _today(f"{within}.conv.2.weight", names) == f"{within}.conv2.weight" in names
    assert all(_today(name, names) == name for name in names)
    assert _today("stem.conv.1.weight", names) == "stem.conv.1.weight"


def test_names_that_do_not_exist_bring_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"features\.name=resnt18 is no classification network .* try resnet18"):
        backbone("resnt18")
    with pytest.raises(ValueError, match=r"features\.name=null is no classification network of torchvision: try"):
        backbone(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"features\.layer=avgpol is no layer of resnet18: try avgpool"):
        backbone(layer="avgpol")
    with pytest.raises(ValueError, match=r"features\.layer=null is no layer of resnet18: try .*avgpool"):
        backbone(layer=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"features\.weights=null must be default, random or the path of a file"):
        backbone(weights=None)  # type: ignore[arg-type]


def test_a_layer_or_a_size_that_gives_no_vectors_is_refused() -> None:
    with torch.device("meta"):  # shapes alone
        with pytest.raises(
            ValueError, match=r"features\.layer=encoder of vit_b_32 gives arrays of shape \(1, 50, 768\)"
        ):
            backbone("vit_b_32", "encoder", size=224)
        with pytest.raises(ValueError, match=r"vit_b_32 takes no images of features\.input_size=32 px"):
            backbone("vit_b_32", "getitem_5", size=32)
    with pytest.raises(ValueError, match=r"features\.input_size=0 must be a whole number"):
        backbone(size=0)
