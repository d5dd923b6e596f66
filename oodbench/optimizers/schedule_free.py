"""Schedule-free SGD and AdamW, from their authors' package."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oodbench.optimizers.adam import DECOUPLED
from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, one_minus_log


def ready(name: str) -> Callable[..., Any]:
    """Builds ``schedulefree.<name>``, ready to train."""

    def build(params: Any, **hparams: Any) -> Any:
        optimizer = builder("schedulefree", name, foreach=False)(params, **hparams)
        optimizer.train()
        return optimizer

    return build


SCHEDULE_FREE_SGD = OptimizerSpec(
    "schedule_free_sgd",
    "non-adaptive",
    {"lr": log(1e-2, 10.0), "momentum": one_minus_log(0.5, 0.99), "weight_decay": log(1e-6, 1e-3)},
    ready("SGDScheduleFree"),
    flat=True,
    averages=True,
    package="schedulefree",
    reference="Defazio et al. 2024 (arXiv 2405.15682)",
)
SCHEDULE_FREE_ADAMW = replace(
    SCHEDULE_FREE_SGD,
    name="schedule_free_adamw",
    kind="adaptive",
    space=DECOUPLED,
    build=ready("AdamWScheduleFree"),
    decoupled_decay=True,
)
