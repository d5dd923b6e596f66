"""What residual networks for small images are made of: blocks of two 3 x 3 convolutions."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from oodbench.models.parts import WITH_PREVIOUS

Layers = OrderedDict[str, nn.Module]
Conv = tuple[int, int, int]
"""Channels that come in and go out, and the stride."""


def convolution(channels: Conv, size: int = 3) -> nn.Conv2d:
    """Without bias, initialised as He et al. 2015 derive it for ReLUs (eq. 14, outgoing)."""
    inputs, outputs, stride = channels
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class PlainBlock(nn.Module):
    """A block of He et al. 2016: what it adds to has no parameters (their option A).

    Where the block halves the image, its shortcut takes every second pixel; the channels that are
    new begin as zeros.

    Args:
        channels: Channels of the first convolution.
    """

    def __init__(self, channels: Conv) -> None:
        super().__init__()
        inputs, outputs, self.stride = channels
        self.added = outputs - inputs
        self.conv1 = convolution(channels)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution((outputs, outputs, 1))
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, images: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, outputs, height / stride, width / stride)."""
        hidden = self.bn1(self.conv1(images)).relu()
        shortcut = images[..., :: self.stride, :: self.stride]
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.added))
        summed: Tensor = self.bn2(self.conv2(hidden)) + shortcut
        return summed.relu()


class PreActivationBlock(nn.Module):
    """A block of Zagoruyko & Komodakis 2016: each convolution after its BatchNorm and ReLU.

    Args:
        channels: Channels of the first convolution.
        dropout: Between the convolutions.
    """

    def __init__(self, channels: Conv, dropout: float) -> None:
        super().__init__()
        inputs, outputs, stride = channels
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(channels)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = convolution((outputs, outputs, 1))
        changes = inputs != outputs or stride > 1
        self.shortcut = convolution(channels, 1) if changes else None

    def forward(self, images: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, outputs, height / stride, width / stride)."""
        active = self.bn1(images).relu()
        hidden = self.dropout(self.bn2(self.conv1(active)).relu())
        kept: Tensor = images if self.shortcut is None else self.shortcut(active)
        summed: Tensor = self.conv2(hidden) + kept
        return summed


class Residual(nn.Sequential):
    """Layers in order, from images to logits, of which ``layer1`` to ``layer3`` are blocks."""

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of the network's parts; see ``oodbench.models.parts``."""
        blocks = [(r"^layer(\d+)\.(\d+)", None), (r"^norm", (WITH_PREVIOUS,))]
        return {"stem": r"^conv1|bn1", "blocks": blocks}


def stages(widths: Sequence[int], blocks: int, block: Callable[[Conv], nn.Module]) -> Layers:
    """The blocks of each stage; from the second on, the first block of a stage halves the image.

    Args:
        widths: Channels that come into the first stage, and those that go out of each.
        blocks: Number of blocks in each stage.
        block: Makes one.
    """
    result: Layers = OrderedDict()
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        shapes = [(inputs, outputs, 1 if number == 1 else 2)]
        shapes += [(outputs, outputs, 1)] * (blocks - 1)
        result[f"layer{number}"] = nn.Sequential(*map(block, shapes))
    return result


def classifier(width: int, num_classes: int) -> Layers:
    """A mean over pixels, and a linear layer."""
    return OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=nn.Linear(width, num_classes)
    )
