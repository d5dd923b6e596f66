"""SA-SGD and SA-SAM: see ``oodbench.optimizers.rules.smoothness_aware``."""

from collections.abc import Callable
from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import Choice, Space, log

SPACE: Space = {
    "lr": log(1e-3, 1.0),
    "weight_decay": log(1e-6, 1e-3),
    "variant": Choice(("code",), allowed=("code", "transcription")),
}
REFERENCE = "Naganuma et al. 2024 (ICLR workshop), from code and from a transcription"


def builder(perturbed: bool) -> Callable[..., Any]:
    """Builds SA-SAM, or SA-SGD, which has no perturbation."""

    def build(params: Any, **hparams: Any) -> Any:
        from oodbench.optimizers.rules.smoothness_aware import SmoothnessAware

        return SmoothnessAware(params, **hparams, perturbed=perturbed)

    return build


SASGD = OptimizerSpec(
    "sasgd",
    "non-adaptive",
    SPACE,
    builder(perturbed=False),
    flat=True,
    evaluations=2,
    sets_lr=True,
    reference=REFERENCE,
)

SASAM = OptimizerSpec(
    "sasam",
    "non-adaptive",
    SPACE,
    builder(perturbed=True),
    flat=True,
    evaluations=3,
    sets_lr=True,
    reference=REFERENCE,
)
