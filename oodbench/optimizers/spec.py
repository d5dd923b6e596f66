"""What an optimizer is to the harness."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oodbench.spaces import Space

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as a contestant: how to build it, what kind it is, what to search.

    Attributes:
        name: As sweep files write it.
        kind: ``adaptive`` if it scales each coordinate by its gradient history, else
            ``non-adaptive``.
        space: Its hyperparameters and their default search ranges; no others are accepted.
        build: ``build(params, **hparams)``; gets exactly the hyperparameters of ``space``.
        elementwise: Each coordinate's step depends on that coordinate alone, so that a model's
            parameters may be given as one flat vector (the same numbers, fewer calls). Leave it
            False for norms, layers or matrices (LARS, SAM, Muon, Adafactor, clipping).
        in_place: The step writes to the parameters it was given. Where it does not, its models
            are trained one by one instead of in a stack.
        reference: The paper.
    """

    name: str
    kind: Literal["adaptive", "non-adaptive"]
    space: Space
    build: "Callable[..., Optimizer]"
    elementwise: bool = False
    in_place: bool = True
    reference: str = ""

    def __call__(
        self, params: "Iterable[Tensor]", hparams: dict[str, bool | int | float | str]
    ) -> "Optimizer":
        """The optimizer for ``params``, with its own share of ``hparams``."""
        return self.build(params, **{name: hparams[name] for name in self.space})
