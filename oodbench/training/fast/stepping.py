"""Taking an optimizer's step without what torch wraps around it.

``torch.optim`` wraps each step in a profiler range, hooks and a graph break, and looks for what its
kernels are to be given, which takes several times as long as the step of a small model. Where
nobody has registered a hook, the step inside is the same.
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

    It does so to make ``torch.compile`` leave some methods alone, which means nothing where
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
    if not is_plain(optimizer):
        return optimizer.step
    kind = type(optimizer)
    step = partial(unwrap(kind.step), optimizer)
    group = optimizer.param_groups[0]
    alone = len(optimizer.param_groups) == len(group["params"]) == 1
    if kind in KERNELS and alone and group["fused"]:
        return partial(KERNELS[kind], optimizer, step)
    return step


def is_plain(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it is one of torch's own, and nothing is hung on its step."""
    hooks: list[Any] = [
        *(optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks),
        *(base._global_optimizer_pre_hooks, base._global_optimizer_post_hooks),
    ]
    own = type(optimizer).__module__.startswith("torch.optim.") and "step" not in vars(optimizer)
    return own and not any(hooks) and not optimizer.defaults.get("differentiable")


def step_sgd(optimizer: torch.optim.Optimizer, step: Callable[[], Any]) -> None:
    """A step of SGD on one tensor by its fused kernel; the first, which makes its state, by torch.

    Hyperparameters and state are read anew: schedules set the one, resumed runs both.
    """
    group = optimizer.param_groups[0]
    (parameter,), momentum = group["params"], group["momentum"]
    buffer = optimizer.state[parameter].get("momentum_buffer")
    if momentum and buffer is None:
        step()
        return
    torch._fused_sgd_(
        [parameter],
        [parameter.grad],
        [buffer] if momentum else [],
        weight_decay=group["weight_decay"],
        momentum=momentum,
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
        is_first_step=False,
    )


def step_adam(optimizer: torch.optim.Optimizer, step: Callable[[], Any]) -> None:
    """Take a step of Adam or AdamW."""
    group = optimizer.param_groups[0]
    (parameter,) = group["params"]
    state = optimizer.state[parameter]
    if not state or group["amsgrad"]:
        step()
        return
    state["step"].add_(1)
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    beta1, beta2 = group["betas"]
    kernel(
        [parameter],
        [parameter.grad],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [state["step"]],
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=group["maximize"],
    )


KERNELS = {torch.optim.SGD: step_sgd, torch.optim.Adam: step_adam, torch.optim.AdamW: step_adam}
