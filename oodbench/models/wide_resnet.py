"""Wide residual networks (Zagoruyko & Komodakis 2016) for images of 32 x 32 pixels."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.spec import ModelSpec, check_image_shape

if TYPE_CHECKING:
    from torch import nn

FIRST = 16
"""Channels of the first convolution."""


def fits(options: Any, size: int | None = None) -> None:
    """Raise RequestError unless there is a network of this depth."""
    depth = options["depth"]
    if depth < 10 or depth % 6 != 4:
        raise RequestError(
            f"model wide_resnet: depth must be 6 n + 4 with n blocks a stage: 10, 16, 22, 28, "
            f"...; got {depth}."
        )


def build(
    input_shape: tuple[int, ...], num_classes: int, depth: int, width: int, dropout: float
) -> "nn.Sequential":
    """WRN-depth-width: three stages of (depth - 4) / 6 pre-activation blocks.

    Args:
        input_shape: (channels, height, width).
        num_classes: Size of the label set.
        depth: Convolutions, as the paper counts them: 6 n + 4.
        width: How many times the 16, 32 and 64 channels of a ResNet the stages have.
        dropout: Between the two convolutions of a block.

    Raises:
        RequestError: If there is no such depth, or the inputs are no images.
    """
    from torch import nn

    from oodbench.models.residual_layers import (
        PreActivationBlock,
        Residual,
        classifier,
        convolution,
        stages,
    )

    fits({"depth": depth})
    check_image_shape("wide_resnet", input_shape)
    widths = (FIRST, 16 * width, 32 * width, 64 * width)
    blocks = stages(widths, (depth - 4) // 6, lambda shape: PreActivationBlock(shape, dropout))
    first = {"conv1": convolution((input_shape[0], FIRST, 1))}
    last = {"norm": nn.BatchNorm2d(widths[-1]), "relu": nn.ReLU()}
    return Residual(OrderedDict(**first, **blocks, **last, **classifier(widths[-1], num_classes)))


WIDE_RESNET = ModelSpec(
    "wide_resnet",
    build,
    options={"depth": 28, "width": 10, "dropout": 0.0},
    summary="Wide residual network WRN-depth-width for images of 32 x 32 pixels.",
    reference="Zagoruyko & Komodakis 2016 (Wide Residual Networks)",
    fits=fits,
)
