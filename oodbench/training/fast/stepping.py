"""Taking an optimizer's step without what torch wraps around it.

``torch.optim`` wraps each step in a profiler range, hooks and a graph break, which takes longer
than the step of a small model. Where nobody has registered a hook, the step inside is the same.
"""

from collections.abc import Callable
from functools import partial
from inspect import unwrap
from typing import Any

import torch
from torch.optim import optimizer as base

from oodbench.optimizers.rules.reevaluating import Reevaluating


def spare_dynamo() -> None:
    """Keep ``torch.optim`` from importing ``torch._dynamo``, which takes a second of each process.

    It does so to tell ``torch.compile`` to leave some methods alone, which means nothing where
    nothing is compiled. Where torch does it in another way, this has no effect.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        method = unwrap(getattr(torch.optim.Optimizer, name))
        vars(method).setdefault("__dynamo_disable", method)


def stepper(optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
    """What takes the optimizer's step; to be called where gradients are off.

    Only torch's own optimizers are unwrapped, and only while no hook is registered. That of an
    optimizer that re-evaluates gives a generator: see ``Reevaluating.passes``.
    """
    if isinstance(optimizer, Reevaluating):
        return optimizer.passes
    kind = type(optimizer)
    hooks: list[Any] = [
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        base._global_optimizer_pre_hooks,
        base._global_optimizer_post_hooks,
    ]
    own = kind.__module__.startswith("torch.optim.") and "step" not in vars(optimizer)
    if not own or any(hooks) or optimizer.defaults.get("differentiable"):
        return optimizer.step
    return partial(unwrap(kind.step), optimizer)
