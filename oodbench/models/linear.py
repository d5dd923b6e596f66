"""A linear layer on flattened inputs."""

from math import prod
from typing import TYPE_CHECKING

from oodbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


def build(input_shape: tuple[int, ...], num_classes: int) -> "nn.Module":
    """Softmax regression: one linear layer."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_classes))


LINEAR = ModelSpec(
    "linear", build, summary="One linear layer on the inputs, such as TF-IDF of texts."
)
