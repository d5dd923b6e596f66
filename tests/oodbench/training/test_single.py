"""A model that is run as it is becomes the same in pieces of a batch as in the whole."""

import copy

import pytest
import torch
from torch import Tensor, nn

from oodbench.training.single import IMAGES, Single

CPU = torch.device("cpu")


def chain(*after: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(1, 4, 3), nn.ReLU(), *after, nn.Conv2d(4, 6, 3)]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize(
    ("module", "largest"),
    [
        (chain(nn.GroupNorm(2, 4)), IMAGES),
        (chain(nn.BatchNorm2d(4)), 2 * 20),  # looks at the whole batch
        (chain(nn.BatchNorm2d(4, track_running_stats=False)), 2 * 20),
    ],
)
def test_training_in_pieces(module: nn.Sequential, largest: int, features: bool) -> None:
    whole, inputs, up = copy.deepcopy(module).double(), draw(1, 2, 20, 1, 7, 7), draw(40, 3)
    expected = whole(inputs.flatten(0, 2))
    gradients = torch.autograd.grad(expected, list(whole.parameters()), up)

    model, seen = Single(copy.deepcopy(module), CPU, "float64"), []
    model._module[0].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    logits = model.features(inputs)[1] if features else model(inputs)
    assert max(seen) == largest
    torch.testing.assert_close(logits, expected.view(1, 2, 20, 3), rtol=0, atol=1e-12)
    model.backward((logits * up.view(1, 2, 20, 3)).sum().unsqueeze(0))
    for parameter, gradient in zip(model._module.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12)


class Padded(nn.Conv2d):
    """A convolution of its own kind, as timm's and EfficientNet's are."""


@pytest.mark.parametrize("kind", [nn.Conv2d, Padded])
def test_evaluation_in_pieces(kind: type[nn.Conv2d]) -> None:
    module, inputs = nn.Sequential(kind(1, 4, 3), chain()[1:]), draw(40, 1, 7, 7)
    model, seen = Single(module, CPU, "float64"), []
    module[0].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    found = model.predict(inputs)[0]
    assert max(seen) == IMAGES
    torch.testing.assert_close(found, module.eval()(inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("after", "layout"), [(nn.BatchNorm2d(4), True), (nn.GroupNorm(2, 4), False)]
)
def test_images_are_channels_last_without_group_norm(after: nn.Module, layout: bool) -> None:
    module, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), after, *chain()[1:]), draw(8, 3, 7, 7)
    model, seen = Single(module, CPU, "float64"), []
    module[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    model.predict(inputs)
    model(inputs.unsqueeze(0).unsqueeze(0))
    assert [part.is_contiguous(memory_format=torch.channels_last) for part in seen] == [layout] * 2
