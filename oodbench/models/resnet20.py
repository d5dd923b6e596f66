"""ResNets for images of 32 x 32 pixels (He et al. 2016, section 4.2)."""

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from oodbench.models.spec import ModelSpec, check_image_shape

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (16, 16, 32, 64)
"""Channels of the first convolution and of each stage."""


def build(depth: int, input_shape: tuple[int, ...], num_classes: int) -> "nn.Sequential":
    """6 n + 2 layers: one convolution, three stages of n blocks of two each, one linear layer.

    Shortcuts have no parameters (option A). Images are not normalised: the first BatchNorm does so.
    """
    from torch import nn

    from oodbench.models.residual_layers import (
        PlainBlock,
        Residual,
        classifier,
        convolution,
        stages,
    )

    check_image_shape(f"resnet{depth}", input_shape)
    first = convolution((input_shape[0], WIDTHS[0], 1))
    layers = {"conv1": first, "bn1": nn.BatchNorm2d(WIDTHS[0]), "relu": nn.ReLU()}
    blocks = stages(WIDTHS, (depth - 2) // 6, PlainBlock)
    return Residual(OrderedDict(**layers, **blocks, **classifier(WIDTHS[-1], num_classes)))


RESNETS = tuple(
    ModelSpec(
        f"resnet{depth}",
        partial(build, depth),
        summary=f"ResNet of {depth} layers for images of 32 x 32 pixels, {size} parameters.",
        reference="He et al. 2016 (Deep Residual Learning), section 4.2",
    )
    for depth, size in ((20, "0.27 million"), (56, "0.85 million"), (110, "1.7 million"))
)
