"""Networks for images of which all is trained, or only a head on frozen features."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.pretrained import Weights, read_state
from oodbench.models.spec import Channels, ModelSpec

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

IMAGENET = 1000
"""Classes that the published weights tell apart."""
OPTIONS: dict[str, Any] = {
    "train": ("all", "head"),
    "pretrained": True,
    "freeze_bn": True,
    "dropout": 0.0,
    "hidden": 0,
}
"""``train``: all weights, or a head alone, on features that are computed once. ``freeze_bn``:
BatchNorm's statistics and scales stay those of the pretrained weights (DomainBed's default is to
train them; frozen ones do not depend on a batch). ``dropout``: on the features. ``hidden``: units
of a hidden layer in the head; 0: a linear head."""


@dataclass(frozen=True)
class Backbone:
    """A network up to its features.

    Attributes:
        name: As sweep files write it.
        body: Makes the module: (n, 3, height, width) normalised images to (n, features).
        features: Their number.
        weights: Trained on ImageNet.
        head: What the names of the last layer's tensors in the weights file begin with.
        rename: Takes the other names in the weights file to those of ``body``.
        mean, std: Of each channel, of images in [0, 1], as the weights were trained.
        summary: One sentence.
        reference: Whom to cite.
    """

    name: str
    body: "Callable[[], nn.Module]"
    features: int
    weights: Weights
    head: str
    rename: Callable[[str], str] = str
    mean: Channels = (0.485, 0.456, 0.406)
    std: Channels = (0.229, 0.224, 0.225)
    summary: str = ""
    reference: str = ""

    def spec(self) -> ModelSpec:
        """This backbone as a model that can be asked for by name."""
        return ModelSpec(
            self.name,
            self.build,
            options=OPTIONS,
            summary=self.summary,
            reference=self.reference,
            pretrained=self.pretrained,
            frozen=partial(frozen, self.name, self.network),
            classifier=self.classifier,
        )

    def pretrained(self, options: Mapping[str, Any]) -> str:
        """The sha256 of the weights file that these options begin with; empty: random weights."""
        return self.weights.sha256 if options["pretrained"] else ""

    def keep(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors of the weights file that ``body`` has: all but the last layer's."""
        last = self.head.split(".")[0] + "."
        return {self.rename(k): v for k, v in state.items() if not k.startswith(last)}

    def network(self, options: Mapping[str, Any]) -> "nn.Module":
        """Images in [0, 1] to features."""
        from oodbench.models.layers import Normalise, with_frozen_batchnorm

        body = self.body()
        if options["pretrained"]:
            body.load_state_dict(self.keep(self.weights.load()))
        if options["freeze_bn"]:
            body = with_frozen_batchnorm(body)
        return Normalise(body, self.mean, self.std)

    def classifier(self, file: "Path | None", mean: Channels, std: Channels) -> "nn.Module":
        """The whole network from images in [0, 1] to logits, in eval mode.

        Args:
            file: A state dict with the names that the published one has; None: that one, with
                ImageNet's 1,000 classes.
            mean, std: Of each channel, where the file has other classes.

        Raises:
            RequestError: If the file cannot be read, or is not one of this network.
        """
        from torch import nn

        from oodbench.models.layers import Normalise

        state = self.weights.load() if file is None else read_state(file)
        last = {part: state.get(f"{self.head}.{part}") for part in ("weight", "bias")}
        if last["weight"] is None or last["bias"] is None:
            raise RequestError(
                f"{file} has no {self.head}.weight and {self.head}.bias, so it is no state dict of "
                f"a whole {self.name}; it has {', '.join([*state][-3:]) or 'nothing'}."
            )
        body, linear = self.body(), nn.Linear(self.features, len(last["bias"]))
        try:
            body.load_state_dict(self.keep(state))
            linear.load_state_dict(last)
        except RuntimeError as error:
            told = " ".join(str(error).split())[:300]
            raise RequestError(f"{file} does not fit {self.name}: {told}") from error
        if linear.out_features == IMAGENET:
            mean, std = self.mean, self.std
        return Normalise(nn.Sequential(body, linear), mean, std).eval().requires_grad_(False)

    def build(
        self, input_shape: tuple[int, ...], num_classes: int, **options: Any
    ) -> "nn.Sequential":
        """The body, unless only a head is trained, and the head, its last layer linear."""
        layers: dict[str, nn.Module] = {}
        if options["train"] == "all":
            if len(input_shape) != 3 or input_shape[0] != 3:
                raise RequestError(
                    f"model {self.name} needs images (3, height, width), but the inputs have the "
                    f"shape {input_shape}; use mlp or mnist_cnn."
                )
            layers["body"] = self.network(options)
        elif input_shape != (self.features,):
            raise RequestError(
                f"A head on {self.name} needs its {self.features} features, but the inputs have "
                f"the shape {input_shape}."
            )
        return head(layers, self.features, num_classes, options)


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
