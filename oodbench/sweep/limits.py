"""Which values hyperparameters may have; others train, but mean nothing, or fail much later."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from oodbench.errors import RequestError
from oodbench.optimizers.fine_tuning import ends
from oodbench.optimizers.replicated import pseudo_step_told
from oodbench.spaces import Range, Space


@dataclass(frozen=True)
class Limit:
    """Numbers from ``low`` to ``high``; an end that is ``open`` is not one of them."""

    low: float
    high: float = math.inf
    whole: bool = False
    open: tuple[float, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether the value keeps to it."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        inside = self.low <= value <= self.high and value not in self.open
        return inside and (not self.whole or isinstance(value, int))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        above = f"{'>' if self.low in self.open else '>='} {self.low:g}"
        below = f" and {'<' if self.high in self.open else '<='} {self.high:g}"
        return f"{kind} {above}{below if self.high < math.inf else ''}"


POSITIVE, NOT_NEGATIVE = Limit(0, open=(0,)), Limit(0)
DECAY = Limit(0, 1, open=(1,))
"""The decay of a running mean: at 1 it never changes."""

OF_OPTIMIZERS: Mapping[str, Limit] = {
    "lr": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "momentum": DECAY,
    "beta1": DECAY,
    "beta2": DECAY,
    "eps": NOT_NEGATIVE,
    "rho": NOT_NEGATIVE,
    "sync_every": Limit(1, whole=True),
    "sync_warmup": Limit(0, whole=True),
    "coasting": Limit(0, whole=True),
    "outer_lr": POSITIVE,
    "outer_momentum": DECAY,
    "probability": DECAY,
    "mixing": POSITIVE,
}
"""Limits of the hyperparameters of optimizers and of methods that distribute them.

Optimizers and methods check their other hyperparameters themselves.
"""

OF_ALGORITHMS: Mapping[str, Limit] = {
    "penalty_weight": NOT_NEGATIVE,
    "anneal_fraction": Limit(0, 2),  # beyond 1 the weight never jumps; DomainBed draws up to 2
    "group_step_size": POSITIVE,
}


def check_limits(owner: str, space: Space, limits: Mapping[str, Limit]) -> None:
    """Raise RequestError if a hyperparameter may be drawn where it means nothing.

    Args:
        owner: Whose space it is, for messages.
        space: After all changes.
        limits: ``OF_OPTIMIZERS`` or ``OF_ALGORITHMS``.
    """
    for name, limit in limits.items():
        if name not in space:
            continue
        what = space[name]
        broken = isinstance(what, Range) and limit.whole and what.scale != "int"
        if broken or not all(map(limit.allows, ends(what))):
            raise RequestError(f"{owner}, {name}: needs {limit}, but got {what.to_yaml()}.")


def check_optimizer_space(owner: str, space: Space) -> None:
    """Raise RequestError if an optimizer's or a method's hyperparameter may mean nothing.

    Args:
        owner: Whose space it is, for messages.
        space: Space of a contestant, after all changes.
    """
    check_limits(owner, space, OF_OPTIMIZERS)
    if "probability" in space and "lr" in space:
        lr, mixing = min(ends(space["lr"])), min(ends(space["mixing"]))
        p = max(ends(space["probability"]))
        if p > 0 and lr * mixing / p > 1:
            raise RequestError(f"{owner}: {pseudo_step_told(lr, mixing, p)}.")
