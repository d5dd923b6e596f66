"""Sharpness-aware minimisation (SAM) around another optimizer."""

from typing import Any

from oodbench.optimizers.adam import ADAM
from oodbench.optimizers.sgd import MOMENTUM
from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log


def sam_of(base: OptimizerSpec, name: str) -> OptimizerSpec:
    """SAM around ``base``, as an optimizer called ``name``: its hyperparameters, and ``rho``."""

    def build(params: Any, rho: float, **hparams: Any) -> Any:
        from oodbench.optimizers.rules.sam import Sam

        return Sam(base.build(params, **hparams), rho)

    return OptimizerSpec(
        name,
        base.kind,
        {**base.space, "rho": log(0.01, 1.0)},
        build,
        flat=base.flat,
        hidden_apart=base.hidden_apart,
        stackable=base.stackable,
        waits=base.waits,
        evaluations=2 * base.evaluations,
        decoupled_decay=base.decoupled_decay,
        package=base.package,
        reference=f"Foret et al. 2021 (arXiv 2010.01412) around {base.name}",
    )


SAM = sam_of(MOMENTUM, "sam")
SAM_ADAM = sam_of(ADAM, "sam_adam")
