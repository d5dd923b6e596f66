"""What an optimizer is to the harness."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from oodbench.errors import RequestError
from oodbench.spaces import Space

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

HParams = Mapping[str, bool | int | float | str]
EXTRA = "oodbench[optimizers]"
"""What installs the packages that some optimizers come from."""


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as a contestant: how to build it, what kind it is, what to search.

    Attributes:
        name: Name in sweep files.
        kind: ``adaptive`` if it rescales the gradient by coordinates, layers or matrices (by their
            history, sign, norm or spectrum), else ``non-adaptive``: its steps are combinations of
            gradients, however long.
        space: Its hyperparameters and their default search ranges; no others are accepted.
        build: ``build(params, **hparams)``; gets exactly the hyperparameters of ``space``.
        flat: A model's parameters may be given as one flat vector (the same numbers, fewer calls):
            the step goes by coordinates, or by norms over all of them. Leave it False where layers
            or matrices count (LARS, Muon, Adafactor).
        hidden_apart: ``build`` is given groups, each with ``hidden``: whether its parameters are
            matrices and convolutions between a model's first layer and its head, as Muon asks.
        stackable: The step writes to the parameters that it was given and draws nothing at random.
            Where it does not, its models are trained one by one instead of in a stack.
        waits: Its step waits for what a GPU computes. There it is stacked apart from others, which
            would wait with it.
        evaluations: Gradients that it takes at each step: see
            ``oodbench.optimizers.rules.reevaluating``.
        sets_lr: It chooses its own learning rate, so a schedule and clipping are refused.
        decoupled_decay: Its weight decay is not added to the gradient (AdamW), so it is no part of
            the loss.
        averages: What is to be evaluated is an average of the iterates: its ``eval()`` puts it in
            the parameters, and ``train()`` takes it out again.
        package: What has to be installed for it; empty if torch is enough.
        reference: The paper.
        parallel: Method that distributes it over replicas: see ``oodbench.optimizers.replicated``.
        replicas: Number of replicas.
    """

    name: str
    kind: Literal["adaptive", "non-adaptive"]
    space: Space
    build: "Callable[..., Optimizer]"
    flat: bool = False
    hidden_apart: bool = False
    stackable: bool = True
    waits: bool = False
    evaluations: int = 1
    sets_lr: bool = False
    decoupled_decay: bool = False
    averages: bool = False
    package: str = ""
    reference: str = ""
    parallel: str = ""
    replicas: int = 1

    def __call__(
        self, params: "Iterable[Tensor] | Iterable[dict[str, Any]]", hparams: HParams
    ) -> "Optimizer":
        """The optimizer for ``params``, with its own share of ``hparams``.

        ``params`` may be groups, as torch's optimizers take them.
        """
        return self.build(params, **{name: hparams[name] for name in self.space})

    def couples_decay(self, hparams: HParams) -> bool:
        """Whether its weight decay is a part of the loss.

        Args:
            hparams: Hyperparameters of a trial; ``weight_decouple`` is one in some of
                pytorch-optimizer's.
        """
        own = "weight_decouple" in self.space and bool(hparams["weight_decouple"])
        return "weight_decay" in self.space and not (self.decoupled_decay or own)

    @property
    def installed(self) -> bool:
        """Whether what it needs is installed here."""
        return not self.package or find_spec(self.package) is not None


def builder(module: str, name: str, **fixed: Any) -> Callable[..., Any]:
    """Builds an optimizer of a module, which is imported then, with these arguments fixed.

    Hyperparameters ``beta1`` and ``beta2`` are given to it as its ``betas``.
    """

    def build(params: Any, **hparams: Any) -> Any:
        if "beta1" in hparams:
            hparams["betas"] = (hparams.pop("beta1"), hparams.pop("beta2"))
        return getattr(import_module(module), name)(params, **fixed, **hparams)

    return build


def check_installed(name: str, package: str) -> None:
    """Raise RequestError if an optimizer needs a package that is not installed here."""
    if package and find_spec(package) is None:
        raise RequestError(
            f"optimizer {name} needs the package {package}, which is not installed; "
            f"pip install '{EXTRA}'."
        )
