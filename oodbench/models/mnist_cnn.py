"""DomainBed's network for 28 x 28 images."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from oodbench.models.spec import ModelSpec, check_image_shape

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (64, 128, 128, 128)
STRIDES = (1, 2, 1, 1)


def build(input_shape: tuple[int, ...], num_classes: int) -> "nn.Module":
    """Four convolutions, each with ReLU and then GroupNorm; a mean over pixels; a linear layer.

    The layers are made in DomainBed's order, so a generator in the same state initialises them
    alike; those with parameters are called ``conv1`` to ``conv4`` and ``bn0`` to ``bn3`` as there,
    and ``classifier``.
    """
    from torch import nn

    check_image_shape("mnist_cnn", input_shape)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = input_shape[0]
    for i, (width, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True)):
        layers[f"conv{i + 1}"] = nn.Conv2d(channels, width, 3, stride, padding=1)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"bn{i}"] = nn.GroupNorm(8, width)
        channels = width
    layers |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    layers["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)


MNIST_CNN = ModelSpec(
    "mnist_cnn",
    build,
    summary="DomainBed's network for MNIST: four 3 x 3 convolutions with GroupNorm.",
    reference="Gulrajani & Lopez-Paz 2021 (DomainBed)",
)
