"""What a backbone is to the harness."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """A backbone that can be asked for by name.

    Attributes:
        name: As sweep files write it.
        build: ``build(input_shape, num_classes, **options)`` gives a module from (n, *input_shape)
            to (n, num_classes) logits, initialised from torch's global generator.
        options: Every option with its default; an option has the type of its default.
        summary: One sentence.
        reference: Whom to cite, if anyone.
    """

    name: str
    build: Callable[..., "nn.Module"]
    options: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    reference: str = ""

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise unless every option is one of this model's and has its type."""
        for name, value in options.items():
            if name not in self.options:
                raise UnknownNameError("option", name, self.options, where=f"model {self.name}")
            default = self.options[name]
            if type(value) is not type(default):
                raise RequestError(
                    f"model {self.name}: {name} needs a value like {default!r}, but got {value!r}."
                )
            if type(value) in (int, float) and value <= 0:
                raise RequestError(f"model {self.name}: {name} must be above 0, but got {value!r}.")
