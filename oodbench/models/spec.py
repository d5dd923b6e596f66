"""What a backbone is to the harness."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

Channels = tuple[float, float, float]
"""A number for each channel of an image."""
SHARES = ("dropout", "drop_path")
"""Options that say which share of something is left out."""
SEARCHED = (*SHARES, "freeze_bn")
"""Options that may be drawn, as hyperparameters: they change neither a model's weights at the start
nor its shape, and nothing of a frozen network."""


@dataclass(frozen=True)
class ModelSpec:
    """A backbone that can be asked for by name.

    Attributes:
        name: Name in sweep files.
        build: ``build(input_shape, num_classes, **options)`` gives a module from (n, *input_shape)
            to (n, num_classes) logits, initialised from torch's global generator.
        options: Every option with its default, and an option has its type; of several values, the
            first is the default, and there are no others.
        summary: One sentence.
        reference: Whom to cite, if anyone.
        pretrained: ``pretrained(options)`` gives the sha256 of the weights file that the model
            begins with; empty for random weights.
        frozen: ``frozen(options)`` gives a module from images to features, if only a head on them
            is trained, which ``build`` then makes; else None.
        frozen_by: Options that decide what ``frozen`` gives, beside the weights.
        reads: It reads texts as tokens, those of the encoder that this option names; empty: it
            does not.
        classifier: ``classifier(file, mean, std)`` gives the whole network as its weights were
            published, with ImageNet's classes; None: there is none. See ``Backbone.classifier``.
        images: Options of datasets of images, such as their size, that are these unless a sweep
            file says otherwise.
        fits: ``fits(options, size)`` raises RequestError unless the model takes square images of
            this size, or of its own where that is None, and its options and weights suit it.
        fetch: ``fetch(root, tell)`` downloads the published weights and gives their sha256; see
            ``oodbench.models.pretrained``. None: there are none.
        facts: Gives what else is known of it, to be shown.
    """

    name: str
    build: Callable[..., "nn.Module"]
    options: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    reference: str = ""
    pretrained: Callable[[Mapping[str, Any]], str] = lambda options: ""
    frozen: "Callable[[Mapping[str, Any]], nn.Module | None]" = lambda options: None
    frozen_by: tuple[str, ...] = ()
    reads: str = ""
    classifier: "Callable[[Path | None, Channels, Channels], nn.Module] | None" = None
    images: Mapping[str, Any] = field(default_factory=dict)
    fits: Callable[[Mapping[str, Any], int | None], None] = lambda options, size: None
    fetch: "Callable[[Path | None, Callable[[str], None]], str] | None" = None
    facts: Callable[[], Mapping[str, str]] = dict

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of each option."""
        return {
            name: value[0] if isinstance(value, tuple) else value
            for name, value in self.options.items()
        }

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise unless every option is one of this model's and has its type."""
        for name, value in options.items():
            if name not in self.options:
                raise UnknownNameError("option", name, self.options, where=f"model {self.name}")
            default = self.options[name]
            if isinstance(default, tuple):
                if value not in default:
                    where = f"model {self.name}, {name}"
                    raise UnknownNameError("value", value, default, where=where)
                continue
            if type(value) is not type(default):
                raise RequestError(
                    f"model {self.name}: {name} needs a value like {default!r}, but got {value!r}."
                )
            if type(value) in (int, float) and (value < 0 or value == 0 != default):
                least = "above 0" if default else "0 or above"
                raise RequestError(f"model {self.name}: {name} must be {least}, but got {value!r}.")
            if name in SHARES and value >= 1:
                raise RequestError(f"model {self.name}: {name} must be below 1, but got {value!r}.")


def check_image_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raise RequestError unless the inputs of model ``name`` are images."""
    if len(shape) != 3:
        raise RequestError(
            f"model {name} needs images (channels, height, width), but the inputs have the shape "
            f"{shape}; use mlp."
        )
