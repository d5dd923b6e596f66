"""Taking an optimizer's step without what torch wraps around it.

``torch.optim`` wraps each step in a profiler range, hooks and a graph break, which take as long as
the step of a small model. Where nobody has hung anything on them, the step inside is the same.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch.optim import optimizer as base

from oodbench.optimizers.rules.reevaluating import Reevaluating


def stepper(optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
    """What takes the optimizer's step; to be called where gradients are off.

    Only torch's own optimizers are unwrapped, and only while no hook is registered. That of an
    optimizer that re-evaluates gives a generator: see ``Reevaluating.passes``.
    """
    if isinstance(optimizer, Reevaluating):
        return optimizer.passes
    kind = type(optimizer)
    hooks: list[Any] = [
        *(optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks),
        *(base._global_optimizer_pre_hooks, base._global_optimizer_post_hooks),
    ]
    own = kind.__module__.startswith("torch.optim.") and "step" not in vars(optimizer)
    if not own or any(hooks) or optimizer.defaults.get("differentiable"):
        return optimizer.step
    step = unwrap(kind.step)
    return lambda: step(optimizer)
