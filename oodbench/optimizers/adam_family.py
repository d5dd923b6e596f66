"""Adam's relatives: Adamax, NAdam, RAdam."""

from collections.abc import Callable
from typing import Any

from oodbench.optimizers.adam import ADAM
from oodbench.optimizers.spec import OptimizerSpec


def builder(name: str) -> Callable[..., Any]:
    """Builds ``torch.optim.<name>``: weight decay in the gradient."""

    def build(params: Any, beta1: float, beta2: float, **hparams: Any) -> Any:
        from torch import optim

        return getattr(optim, name)(params, betas=(beta1, beta2), **hparams)

    return build


ADAMAX = OptimizerSpec(
    "adamax",
    "adaptive",
    ADAM.space,
    builder("Adamax"),
    flat=True,
    reference="Kingma & Ba 2015, section 7.1",
)

NADAM = OptimizerSpec(
    "nadam",
    "adaptive",
    ADAM.space,
    builder("NAdam"),
    flat=True,
    reference="Dozat 2016",
)

RADAM = OptimizerSpec(
    "radam",
    "adaptive",
    ADAM.space,
    builder("RAdam"),
    flat=True,
    reference="Liu et al. 2020 (arXiv 1908.03265)",
)
