"""What each parameter is to its model: of the stem, of a block at some depth, or of the head.

A model says so itself, by a method ``group_matcher`` as timm's models have it. What torchvision
defines is known here. Any other model is read layer by layer, in order.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

Key = tuple[float, ...]
"""Parameters with equal ones are of one depth; a lesser one is nearer to the inputs."""
Order = Callable[[str], Key]
"""Name of a parameter -> its key; that of the head is ``HEAD``."""
HEAD: Key = (math.inf,)
WITH_PREVIOUS = 99999
"""At the end of a key: of the same depth as what comes before it (timm's MATCH_PREV_GROUP)."""
OWN_HEAD = ("hidden", "classifier")
"""The layers that ``oodbench.models.head.head`` makes."""

TORCHVISION: dict[str, Mapping[str, Any]] = {
    "ResNet": {"stem": r"^conv1|bn1", "blocks": r"^layer(\d+)\.(\d+)"},
    "DenseNet": {
        "stem": r"^features\.conv0|features\.norm0",
        "blocks": [
            (r"^features\.denseblock(\d+)\.denselayer(\d+)", None),
            (r"^features\.transition(\d+)", (WITH_PREVIOUS,)),
            (r"^features\.norm5", (WITH_PREVIOUS,)),
        ],
    },
    "VisionTransformer": {
        "stem": r"^class_token|conv_proj|encoder\.pos_embedding",
        "blocks": [
            (r"^encoder\.layers\.encoder_layer_(\d+)", None),
            (r"^encoder\.ln", (WITH_PREVIOUS,)),
        ],
    },
}
"""Class of torchvision -> what its ``group_matcher`` would give: see ``by_matcher``."""


Place = Literal["stem", "block", "head"]
Kind = Literal["weight", "embedding", "norm", "bias"]


@dataclass(frozen=True)
class Part:
    """What one parameter is to its model.

    Attributes:
        name: Name as in ``named_parameters``.
        place: ``stem``: where inputs come in, such as the first convolution, or patch, token and
            position embeddings. ``head``: the last layer, and the hidden layer of a head that has
            one. ``block``: all between.
        depth: 0 for the stem; then blocks in order; the head has the largest. A normalisation
            after the last block is of its depth. What a model's declaration does not mention has
            the head's depth, wherever it is (as in timm).
        kind: ``norm``: scale or shift of a normalisation layer, or another vector that scales, such
            as LayerScale's. ``bias``: of any other layer. ``weight``: of a linear or a
            convolutional layer. ``embedding``: another table, such as of tokens or positions.
    """

    name: str
    place: Place
    depth: int
    kind: Kind

    @property
    def hidden(self) -> bool:
        """Whether it is a matrix or a convolution between the first layer and the head."""
        return self.place == "block" and self.kind == "weight"


def parts(module: nn.Module) -> list[Part]:
    """One for each parameter, in the order of ``module.named_parameters()``.

    Args:
        module: A whole model, from inputs to logits; or a head alone, which has no depth.
    """
    prefix, order = declared(module)
    names = [name for name, _ in module.named_parameters()]
    keys = {n: order(n.removeprefix(prefix)) if n.startswith(prefix) else HEAD for n in names}
    depths = ranked(keys.values())
    return [
        Part(name, place(name, key, depths[key], prefix), depths[key], kind(module, name))
        for name, key in keys.items()
    ]


def declared(module: nn.Module) -> tuple[str, Order]:
    """The order of a model's parameters, and the prefix of the names, which it does not see."""
    for name, part in module.named_modules():
        own = type(part).__module__.startswith("torchvision.models.")
        matcher = TORCHVISION.get(type(part).__name__) if own else None
        if hasattr(part, "group_matcher"):
            matcher = part.group_matcher(coarse=False)
        if matcher is not None:
            return f"{name}." if name else "", by_matcher(matcher)
    return "", by_layers(module)


def by_matcher(matcher: Any) -> Order:
    """The order that a ``group_matcher`` gives.

    Args:
        matcher: A function from names to keys; or group -> what its names begin with, a regular
            expression, or several with what is to end the key. Numbers in its parentheses count
            within the group. The first group is the stem.
    """
    if callable(matcher):
        return lambda name: whole if isinstance(whole := matcher(name), tuple) else (whole,)
    patterns = []
    for number, given in enumerate(matcher.values()):
        for pattern, suffix in [(given, None)] if isinstance(given, str) else given or ():
            patterns.append((number, re.compile(pattern), suffix or ()))

    def key(name: str) -> Key:
        for number, pattern, suffix in patterns:
            if found := pattern.match(name):
                inside = (float(group) for group in found.groups() if group is not None)
                return (number, *inside, *suffix)
        return HEAD

    return key


def by_layers(module: nn.Module) -> Order:
    """Every layer with a matrix or more is of a depth of its own; others go with the one before.

    The last one is the head, or those that ``oodbench.models.head.head`` made.
    """
    keys: dict[str, Key] = {}
    layer, last = "", 0
    for name, parameter in module.named_parameters():
        owner = name.rpartition(".")[0]
        if parameter.ndim >= 2 and owner != layer:
            layer, last = owner, last + 1
        keys[name] = (last,)
    heads = {n for n in keys if n.split(".")[0] in OWN_HEAD}
    heads = heads or {name for name, key in keys.items() if key == (last,)}
    return {**keys, **dict.fromkeys(heads, HEAD)}.__getitem__


def ranked(keys: Iterable[Key]) -> dict[Key, int]:
    """The depth that each key means: its rank, from 0 on."""
    depths: dict[Key, int] = {}
    depth = -1
    for key in sorted(set(keys)):
        if depth < 0 or key[-1] != WITH_PREVIOUS:
            depth += 1
        depths[key] = depth
    return depths


def place(name: str, key: Key, depth: int, prefix: str) -> Place:
    """The place of a parameter; see ``Part``.

    What a body with a declaration does not mention is no head of the model.
    """
    inside = bool(prefix) and name.startswith(prefix)
    if key == HEAD and not inside:
        return "head"
    return "stem" if depth == 0 else "block"


def kind(module: nn.Module, name: str) -> Kind:
    """The kind of a parameter: see ``Part``."""
    owner, _, last = name.rpartition(".")
    if module.get_parameter(name).ndim <= 1:
        norm = "norm" in type(module.get_submodule(owner)).__name__.lower()
        return "norm" if norm or not last.endswith("bias") else "bias"
    table = isinstance(module.get_submodule(owner), nn.Embedding) or not last.endswith("weight")
    return "embedding" if table else "weight"
