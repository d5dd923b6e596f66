"""Stochastic gradient descent: plain, with momentum, with Nesterov's momentum."""

from dataclasses import replace
from typing import Any

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, one_minus_log

WEIGHT_DECAY = log(1e-6, 1e-3)
BUILD = builder("torch.optim", "SGD", fused=True)


def build_nesterov(params: Any, momentum: float, **hparams: Any) -> Any:
    """``torch.optim.SGD`` with ``nesterov=True``, which torch refuses where momentum is 0."""
    return BUILD(params, momentum=momentum, nesterov=momentum > 0, **hparams)


SGD = OptimizerSpec(
    "sgd",
    "non-adaptive",
    {"lr": log(1e-3, 1.0), "weight_decay": WEIGHT_DECAY},
    BUILD,
    flat=True,
    reference="Robbins & Monro 1951",
)

MOMENTUM = OptimizerSpec(
    "momentum",
    "non-adaptive",
    {"lr": log(1e-4, 1.0), "momentum": one_minus_log(0.5, 0.99), "weight_decay": WEIGHT_DECAY},
    BUILD,
    flat=True,
    reference="Polyak 1964; Sutskever et al. 2013 (torch.optim.SGD)",
)

NESTEROV = replace(
    MOMENTUM,
    name="nesterov",
    build=build_nesterov,
    reference="Nesterov 1983; Sutskever et al. 2013 (torch.optim.SGD, nesterov=True)",
)
