"""Schedule-free SGD and AdamW, from their authors' package."""

from typing import Any

from oodbench.optimizers.adam import SPACE
from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log

REFERENCE = "Defazio et al. 2024 (arXiv 2405.15682)"


def build_sgd(params: Any, **hparams: Any) -> Any:
    """``schedulefree.SGDScheduleFree``, ready to train."""
    from schedulefree import SGDScheduleFree

    optimizer = SGDScheduleFree(params, **hparams, foreach=False)
    optimizer.train()
    return optimizer


def build_adamw(params: Any, beta1: float, beta2: float, **hparams: Any) -> Any:
    """``schedulefree.AdamWScheduleFree``, ready to train."""
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(params, betas=(beta1, beta2), **hparams, foreach=False)
    optimizer.train()
    return optimizer


SCHEDULE_FREE_SGD = OptimizerSpec(
    "schedule_free_sgd",
    "non-adaptive",
    {
        "lr": log(1e-2, 10.0),
        "momentum": one_minus_log(0.5, 0.99),
        "weight_decay": log(1e-6, 1e-3),
    },
    build_sgd,
    flat=True,
    averages=True,
    package="schedulefree",
    reference=REFERENCE,
)

SCHEDULE_FREE_ADAMW = OptimizerSpec(
    "schedule_free_adamw",
    "adaptive",
    {**SPACE, "weight_decay": log(1e-4, 0.3)},
    build_adamw,
    flat=True,
    averages=True,
    package="schedulefree",
    reference=REFERENCE,
)
