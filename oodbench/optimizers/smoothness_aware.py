"""SA-SGD and SA-SAM: see ``oodbench.optimizers.rules.smoothness_aware``."""

from dataclasses import replace
from functools import partial
from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import Choice, log


def build(params: Any, perturbed: bool, **hparams: Any) -> Any:
    """SA-SAM, or SA-SGD, which has no perturbation."""
    from oodbench.optimizers.rules.smoothness_aware import SmoothnessAware

    return SmoothnessAware(params, **hparams, perturbed=perturbed)


SASGD = OptimizerSpec(
    "sasgd",
    "non-adaptive",
    {
        "lr": log(1e-3, 1.0),
        "weight_decay": log(1e-6, 1e-3),
        "variant": Choice(("code",), allowed=("code", "transcription")),
    },
    partial(build, perturbed=False),
    flat=True,
    evaluations=2,
    sets_lr=True,
    reference="Naganuma et al. 2024 (ICLR workshop), from code and from a transcription",
)
SASAM = replace(SASGD, name="sasam", build=partial(build, perturbed=True), evaluations=3)
