"""Linear layers on flattened inputs: one, or several with ReLUs between them."""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

DEEPEST = 1000
"""Hidden layers of a network that no shortcuts help to train."""


def check_depth(options: Mapping[str, Any], size: int | None) -> None:
    """Raise RequestError if there are too many hidden layers to be built."""
    if options["depth"] > DEEPEST:
        raise RequestError(
            f"model mlp: depth must be at most {DEEPEST}, but got {options['depth']}."
        )


def build(input_shape: tuple[int, ...], num_classes: int, width: int, depth: int) -> "nn.Module":
    """``depth`` hidden layers of ``width`` ReLU units each, then a linear layer."""
    from torch import nn

    sizes = [prod(input_shape)] + [width] * depth
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))


MLP = ModelSpec(
    "mlp",
    build,
    options={"width": 64, "depth": 2},
    summary="Multi-layer perceptron: depth hidden layers of width ReLU units.",
    fits=check_depth,
)

LINEAR = ModelSpec(
    "linear",
    partial(build, width=0, depth=0),
    summary="One linear layer on the inputs, such as TF-IDF of texts.",
)
