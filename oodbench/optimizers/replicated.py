"""Methods of distributing training as contestants: ``palsgd(adam)x4`` is Adam on four replicas.

Such a name stands wherever an optimizer's does. Its hyperparameters are those of the optimizer and
those of the method, so a search tunes both. What the methods do: ``training.replicas.methods``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import Choice, Space, log

PATTERN = "METHOD(OPTIMIZER)xREPLICAS"

LOCAL: Space = {
    "sync_every": Choice((32,)),
    "sync_warmup": Choice((0,)),
    "sync_phase": Choice(("H",), allowed=("H", "H-1")),
    "inner_state": Choice(("keep",), allowed=("keep", "average")),
    "batchnorm": Choice(("average",), allowed=("average", "local", "reset")),
}
DDP: Space = {"batchnorm": Choice(("average",), allowed=("average", "local"))}
OUTER: Space = {
    "outer": Choice(("nesterov",), allowed=("sgd", "momentum", "nesterov", "adam")),
    "outer_lr": log(0.1, 1.0),
    "outer_momentum": Choice((0.9,)),
    "coasting": Choice((0,)),
}
PSEUDO: Space = {
    "probability": Choice((0.2,)),
    "mixing": Choice((0.5,)),
    "scope": Choice(("all",), allowed=("all", "first_tensor")),
    "coins": Choice(("independent",), allowed=("independent", "shared")),
}


@dataclass(frozen=True)
class Method:
    """A method of distributing training.

    Attributes:
        space: Its hyperparameters and what is drawn for them unless a sweep file says otherwise.
        reference: The paper.
    """

    space: Space
    reference: str


METHODS = {
    "ddp": Method(DDP, "synchronous data-parallel SGD"),
    "local_sgd": Method(LOCAL, "Stich 2019; after a warm-up: Lin et al. 2020 (post-local SGD)"),
    "diloco": Method({**LOCAL, **OUTER}, "Douillard et al. 2023"),
    "palsgd": Method({**LOCAL, **OUTER, **PSEUDO}, "Naganuma et al. 2025"),
}


def method_of(name: str) -> Method:
    """The method of this name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in METHODS:
        raise UnknownNameError("parallel method", name, METHODS)
    return METHODS[name]


def find(name: str, optimizer: Callable[[str], OptimizerSpec]) -> OptimizerSpec | None:
    """The contestant that a name such as ``palsgd(adam)x4`` means; None if it has not that form.

    Args:
        name: ``PATTERN``.
        optimizer: Looks up the inner optimizer.

    Raises:
        UnknownNameError: If there is no such method or optimizer.
        RequestError: If the two do not go together.
    """
    match = re.fullmatch(r"(\w+)\((.+)\)x([1-9][0-9]*)", name)
    if match is None:
        return None
    kind, inner = method_of(match[1]), optimizer(match[2])
    for refused, why in (
        (inner.parallel, "is distributed already"),
        (match[1] != "ddp" and inner.averages, "is evaluated at an average of its own"),
        (match[1] == "palsgd" and inner.sets_lr, "sets its own learning rate"),
    ):
        if refused:
            raise RequestError(f"{name}: {match[1]} cannot be used with {inner.name}, which {why}.")
    if both := kind.space.keys() & inner.space.keys():
        raise RequestError(f"{name}: both have a hyperparameter {', '.join(sorted(both))}.")
    return replace(
        inner,
        name=name,
        space={**inner.space, **kind.space},
        build=lambda params, **hparams: inner(params, hparams),
        reference=f"{kind.reference}; {inner.reference}",
        parallel=match[1],
        replicas=int(match[3]),
    )


def pseudo_step_told(lr: float, mixing: float, probability: float) -> str:
    """What is wrong with a pseudo-step that is not within 0 < c <= 1, and what would help."""
    c = lr * mixing / probability
    return (
        f"a pseudo-step moves a replica by c = lr * mixing / probability = {lr:g} * {mixing:g} / "
        f"{probability:g} = {c:.3g} of its way back to the anchor, and needs 0 < c <= 1; lower lr "
        "or mixing, or raise probability"
    )
