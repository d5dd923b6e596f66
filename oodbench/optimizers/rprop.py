"""The optimizer Rprop (resilient backpropagation)."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, uniform


def build(params: Any, eta_minus: float, eta_plus: float, lr: float) -> Any:
    """``torch.optim.Rprop``, made for full batches: on small ones its signs are noise."""
    from torch import optim

    return optim.Rprop(params, lr=lr, etas=(eta_minus, eta_plus))


RPROP = OptimizerSpec(
    "rprop",
    "adaptive",
    {"lr": log(1e-4, 1e-1), "eta_minus": uniform(0.3, 0.9), "eta_plus": uniform(1.05, 1.5)},
    build,
    flat=True,
    reference="Riedmiller & Braun 1993",
)
