"""SA-SGD and SA-SAM: see ``oodbench.optimizers.rules.smoothness_aware``."""

from dataclasses import replace

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import Choice, log

RULES = "oodbench.optimizers.rules.smoothness_aware"

SASGD = OptimizerSpec(
    "sasgd",
    "non-adaptive",
    {
        "lr": log(1e-3, 1.0),
        "weight_decay": log(1e-6, 1e-3),
        "variant": Choice(("code",), allowed=("code", "transcription")),
    },
    builder(RULES, "SmoothnessAware", perturbed=False),
    flat=True,
    evaluations=2,
    sets_lr=True,
    reference="Naganuma et al. 2024 (ICLR workshop), from code and from a transcription",
)
SASAM = replace(
    SASGD, name="sasam", build=builder(RULES, "SmoothnessAware", perturbed=True), evaluations=3
)
