"""Residual networks for small images: their sizes as published, their layers written out."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from oodbench.errors import OodbenchError
from oodbench.models import MODELS
from oodbench.models.parts import parts
from oodbench.training.models import body_and_head
from oodbench.training.stack import can_stack

State = dict[str, Tensor]


def build(name: str, shape: tuple[int, ...] = (3, 32, 32), **options: object) -> nn.Module:
    spec = MODELS.get(name)
    spec.check(options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return spec.build(shape, 10, **{**spec.defaults, **options})


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (56, 0.85), (110, 1.7)])
def test_sizes_of_resnets(depth: int, millions: float) -> None:
    """He et al. 2016, table 6."""
    with torch.device("meta"):
        model = build(f"resnet{depth}")
    assert size(model) == pytest.approx(1e6 * millions, rel=0.02)
    convolutions = sum(isinstance(part, nn.Conv2d) for part in model.modules())
    assert convolutions + 1 == depth  # option A: shortcuts have none


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [
        (40, 1, 0.6),
        (40, 2, 2.2),
        (40, 4, 8.9),
        (16, 8, 11.0),
        (22, 8, 17.2),
        (16, 10, 17.1),
        (28, 10, 36.5),
        (28, 12, 52.5),
    ],
)
def test_sizes_of_wide_resnets(depth: int, width: int, millions: float) -> None:
    """Zagoruyko & Komodakis 2016, tables 3 and 4: to the digit that they print."""
    with torch.device("meta"):
        assert round(size(build("wide_resnet", depth=depth, width=width)) / 1e6, 1) == millions


def norm(state: State, name: str, images: Tensor) -> Tensor:
    """What BatchNorm makes of a batch in training."""
    mean = images.mean((0, 2, 3), keepdim=True)
    variance = images.var((0, 2, 3), correction=0, keepdim=True)
    scale, shift = (state[f"{name}.{part}"].view(-1, 1, 1) for part in ("weight", "bias"))
    return (images - mean) / (variance + 1e-5).sqrt() * scale + shift


def convolved(state: State, name: str, images: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return functional.conv2d(images, weight, stride=stride, padding=weight.shape[-1] // 2)


def test_resnet20_written_out() -> None:
    model, images = build("resnet20").double(), torch.rand(4, 3, 32, 32, dtype=torch.float64)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hidden = norm(state, "bn1", convolved(state, "conv1", images)).relu()
    for stage in (1, 2, 3):
        for block in range(3):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = convolved(state, f"{at}.conv1", hidden, stride)
            inner = norm(state, f"{at}.bn1", inner).relu()
            inner = norm(state, f"{at}.bn2", convolved(state, f"{at}.conv2", inner))
            shortcut = torch.zeros_like(inner)
            shortcut[:, : hidden.shape[1]] = hidden[:, :, ::stride, ::stride]
            hidden = (inner + shortcut).relu()
    assert hidden.shape == (4, 64, 8, 8)
    features = hidden.mean((2, 3))
    expected = features @ state["classifier.weight"].T + state["classifier.bias"]
    torch.testing.assert_close(model(images), expected)
    torch.testing.assert_close(body_and_head(model)[0](images), features)


def test_wide_resnet_written_out() -> None:
    model = build("wide_resnet", depth=16, width=2).double()
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hidden = convolved(state, "conv1", images)
    for stage in (1, 2, 3):
        for block in range(2):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            active = norm(state, f"{at}.bn1", hidden).relu()
            inner = convolved(state, f"{at}.conv1", active, stride)
            inner = convolved(state, f"{at}.conv2", norm(state, f"{at}.bn2", inner).relu())
            if block == 0:  # 16 to 32, 32 to 64 and 64 to 128 channels
                hidden = convolved(state, f"{at}.shortcut", active, stride)
            hidden = inner + hidden
    features = norm(state, "norm", hidden).relu().mean((2, 3))
    expected = features @ state["classifier.weight"].T + state["classifier.bias"]
    torch.testing.assert_close(model(images), expected)


def test_their_parts() -> None:
    """Nine blocks between stem and head; the last BatchNorm of a wide one goes with its block."""
    with torch.device("meta"):
        plain = {part.name: part for part in parts(build("resnet20"))}
        wide = {part.name: part for part in parts(build("wide_resnet", depth=16, width=1))}
    assert (plain["conv1.weight"].place, plain["bn1.bias"].place) == ("stem", "stem")
    assert [plain[f"layer{s}.{b}.conv2.weight"].depth for s in (1, 3) for b in (0, 2)] == [
        1,
        3,
        7,
        9,
    ]
    assert (plain["classifier.weight"].place, plain["classifier.weight"].depth) == ("head", 10)
    assert wide["norm.weight"].depth == wide["layer3.1.conv2.weight"].depth == 6
    assert wide["layer2.0.shortcut.weight"].hidden


def test_batchnorm_has_them_trained_one_by_one() -> None:
    """With GroupNorm, a stack of them took a CPU 1.5 times as long as one by one."""
    assert not can_stack(build("resnet20"))


@pytest.mark.parametrize("depth", [4, 20, 27])
def test_depths_that_are_none(depth: int) -> None:
    spec = MODELS.get("wide_resnet")
    with pytest.raises(OodbenchError, match=f"6 n \\+ 4.*got {depth}"):
        spec.fits({**spec.defaults, "depth": depth}, 32)


@pytest.mark.parametrize("name", ["resnet20", "wide_resnet"])
def test_they_need_images(name: str) -> None:
    with pytest.raises(OodbenchError, match="use mlp"):
        build(name, (12,))
