"""What all backbones have in common: their options, the part that is trained, the head."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.pretrained import OwnWeights, WeightsFile

if TYPE_CHECKING:
    from torch import nn

OPTIONS: dict[str, Any] = {
    "train": ("all", "head", "partial"),
    "partial": "attn",
    "pretrained": True,
    "weights": "",
    "freeze_bn": True,
    "dropout": 0.0,
    "hidden": 0,
}
"""``train``: all weights; or a head alone, on features that are computed once; or the head and the
weights whose names ``partial``, a regular expression, is found in (``attn`` is DomainBed's
attention-only tuning). ``weights``: a file of your own in place of the published one.
``freeze_bn``: BatchNorm's statistics and scales stay those of the pretrained weights (DomainBed's
default is to train them; frozen ones do not depend on a batch). ``dropout``: on the features.
``hidden``: units of a hidden layer in the head; 0: a linear head."""


def whole(
    name: str,
    body: "nn.Module | None",
    width: int,
    input_shape: tuple[int, ...],
    num_classes: int,
    options: Mapping[str, Any],
) -> "nn.Sequential":
    """The body, as far as it is trained, and the head on its ``width`` features.

    Args:
        name: Name of the model.
        body: Network from images; None: the inputs are features already.
        width: Number of features.
        input_shape: Input shape of one example.
        num_classes: Size of the label set.
        options: See ``OPTIONS``.
    """
    if body is not None:
        train_part(name, body, options)
        return head({"body": body}, width, num_classes, options)
    if input_shape != (width,):
        raise RequestError(
            f"A head on {name} needs its {width} features, but the inputs have the shape "
            f"{input_shape}."
        )
    return head({}, width, num_classes, options)


def check_images(name: str, shape: tuple[int, ...]) -> None:
    """Raise RequestError unless the inputs are images of three channels."""
    if len(shape) != 3 or shape[0] != 3:
        raise RequestError(
            f"model {name} needs images (3, height, width), but the inputs have the shape {shape}; "
            "use mlp or mnist_cnn."
        )


def not_of_size(name: str, pixels: int, native: int, error: Exception) -> RequestError:
    """The error that a model takes no images of so many pixels, and which it takes."""
    cause = shorten(str(error), 200, placeholder=" ...").rstrip(".")
    return RequestError(
        f"model {name} takes no images of {pixels} pixels ({cause}). It was trained on {native}: "
        f"write size: {native} at the dataset, or leave size out."
    )


def begins_with(
    name: str, options: Mapping[str, Any], published: WeightsFile | None
) -> WeightsFile | None:
    """The file of weights that the model begins with; None: random weights.

    Raises:
        RequestError: If the options contradict each other, or nobody published weights.
    """
    if not options["pretrained"]:
        if options["weights"]:
            raise RequestError(
                f"model {name}: weights: {options['weights']} goes with pretrained: true, the "
                "default; leave one of them out."
            )
        return None
    if options["weights"]:
        return OwnWeights(options["weights"])
    if published is None:
        raise RequestError(
            f"model {name} has no published weights: say pretrained: false, for random ones, or "
            "weights: FILE, for your own."
        )
    return published


def train_part(name: str, body: "nn.Module", options: Mapping[str, Any]) -> None:
    """Train no weights of the body but those that ``partial`` names, if only a part is trained.

    Raises:
        RequestError: If it names none, or is no regular expression.
    """
    if options["train"] != "partial":
        return
    named = {k.replace("body.", ""): p for k, p in body.named_parameters() if p.requires_grad}
    try:
        chosen = {key for key in named if re.search(options["partial"], key)}
    except re.error as error:
        raise RequestError(
            f"model {name}: partial: {options['partial']} is no regular expression: {error}."
        ) from error
    if not chosen:
        few = ", ".join([*named][:: max(1, len(named) // 6)])
        raise RequestError(
            f"model {name}: partial: {options['partial']} is found in no name of its "
            f"{len(named)} weights, such as {few}."
        )
    for key, parameter in named.items():
        parameter.requires_grad_(key in chosen)


@contextmanager
def fitting(file: str, name: str) -> Iterator[None]:
    """What torch says of a state dict that is not one of this network, as an error of ours."""
    try:
        yield
    except (RuntimeError, KeyError, AttributeError) as error:
        cause = shorten(str(error), 300, placeholder=" ...")
        raise RequestError(f"{file} does not fit {name}: {cause}") from error


def frozen(
    name: str, network: "Callable[[Mapping[str, Any]], nn.Module]", options: Mapping[str, Any]
) -> "nn.Module | None":
    """The network to a model's features, if these options train a head alone; else None."""
    if options["train"] != "head":
        return None
    if not options["pretrained"]:
        raise RequestError(
            f"model {name}: train: head needs pretrained: true; the features of random "
            "weights that are never trained say nothing."
        )
    return network(options).eval().requires_grad_(False)


def head(
    layers: "Mapping[str, nn.Module]", width: int, num_classes: int, options: Mapping[str, Any]
) -> "nn.Sequential":
    """These layers, and on their features a head with the options ``dropout`` and ``hidden``."""
    from torch import nn

    named = OrderedDict(layers)
    if options["dropout"]:
        named["dropout"] = nn.Dropout(options["dropout"])
    if options["hidden"]:
        named |= {"hidden": nn.Linear(width, options["hidden"]), "relu": nn.ReLU()}
        width = options["hidden"]
    named["classifier"] = nn.Linear(width, num_classes)
    return nn.Sequential(named)
