"""Networks for images of which all is trained, or only a head on frozen features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.head import (
    OPTIONS,
    begins_with,
    check_images,
    fitting,
    frozen,
    not_of_size,
    train_part,
    whole,
)
from oodbench.models.pretrained import Weights
from oodbench.models.spec import Channels, ModelSpec
from oodbench.models.states import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

IMAGENET = 1000
"""Number of classes of the published weights."""
PIXELS = 224
"""Height and width of the images that they were trained on."""
DEFAULTS = {k: v[0] if isinstance(v, tuple) else v for k, v in OPTIONS.items()}


@dataclass(frozen=True)
class Backbone:
    """A network up to its features.

    Attributes:
        name: Name in sweep files.
        body: Makes the module: (n, 3, height, width) normalised images to (n, features).
        features: Number of features.
        weights: Trained on ImageNet.
        head: What the names of the last layer's tensors in the weights file begin with.
        rename: Takes the other names in the weights file to those of ``body``.
        mean, std: Mean and standard deviation of each channel, of images in [0, 1], as the weights
            were trained.
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
            fits=self.fits,
            fetch=self.weights.fetch,
            facts=self.facts,
        )

    def facts(self) -> dict[str, str]:
        """What is known of its weights."""
        return {
            "weights": self.weights.file,
            "mean and deviation": " ".join(f"{n:.3g}" for n in (*self.mean, *self.std)),
            "fetch": f"oodbench fetch model {self.name}",
        }

    def pretrained(self, options: Mapping[str, Any]) -> str:
        """The sha256 of the weights file that these options begin with; empty: random weights."""
        file = begins_with(self.name, options, self.weights)
        if file is not None and options["weights"]:
            _loads(self, options["weights"], file.sha256)
        return "" if file is None else file.sha256

    def fits(self, options: Mapping[str, Any], size: int | None) -> None:
        """Raise RequestError unless it takes images of this size and has what the options name."""
        import torch

        if size is not None:
            _takes(self, size)
        if options["train"] == "partial":
            with torch.device("meta"):
                train_part(self.name, self.body(), options)

    def keep(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors of the weights file that ``body`` has: all but the last layer's."""
        last = self.head.split(".")[0] + "."
        return {self.rename(k): v for k, v in state.items() if not k.startswith(last)}

    def network(self, options: Mapping[str, Any]) -> "nn.Module":
        """Images in [0, 1] to features."""
        from oodbench.models.layers import Normalise, with_frozen_batchnorm

        body, file = self.body(), begins_with(self.name, options, self.weights)
        if file is not None:
            with fitting(options["weights"] or "The published file", self.name):
                body.load_state_dict(self.keep(file.load()))
        if options["freeze_bn"]:
            body = with_frozen_batchnorm(body)
        return Normalise(body, self.mean, self.std)

    def classifier(self, file: "Path | None", mean: Channels, std: Channels) -> "nn.Module":
        """The whole network from images in [0, 1] to logits, in eval mode.

        Args:
            file: A state dict with the names that the published one has; None: that one, with
                ImageNet's 1,000 classes.
            mean, std: Mean and standard deviation of each channel, where the file has other
                classes.

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
        with fitting(str(file), self.name):
            body.load_state_dict(self.keep(state))
            linear.load_state_dict(last)
        if linear.out_features == IMAGENET:
            mean, std = self.mean, self.std
        return Normalise(nn.Sequential(body, linear), mean, std).eval().requires_grad_(False)

    def build(
        self, input_shape: tuple[int, ...], num_classes: int, **options: Any
    ) -> "nn.Sequential":
        """The body, unless only a head is trained, and the head, its last layer linear."""
        body = None
        if options["train"] != "head":
            check_images(self.name, input_shape)
            body = self.network(options)
        return whole(self.name, body, self.features, input_shape, num_classes, options)


@lru_cache
def _takes(model: Backbone, pixels: int) -> None:
    """Raise RequestError unless images of this size go through it, in a run without numbers."""
    import torch

    try:
        with torch.device("meta"):
            model.body().eval()(torch.empty(1, 3, pixels, pixels))
    except (AssertionError, RuntimeError) as error:
        raise not_of_size(model.name, pixels, PIXELS, error) from error


@lru_cache
def _loads(model: Backbone, weights: str, sha256: str) -> None:
    """Raise RequestError unless this file of your own fits; it is looked at once."""
    model.network({**DEFAULTS, "weights": weights})
