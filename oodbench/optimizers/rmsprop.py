"""RMSProp."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log


def build(params: Any, **hparams: Any) -> Any:
    """``torch.optim.RMSprop``: not centred, no momentum, as in the study."""
    from torch.optim import RMSprop

    return RMSprop(params, **hparams)


RMSPROP = OptimizerSpec(
    "rmsprop",
    "adaptive",
    {
        "lr": log(1e-4, 1e-1),
        "alpha": one_minus_log(0.9, 0.999),
        "eps": log(1e-8, 1e-3),
        "weight_decay": log(1e-6, 1e-3),
    },
    build,
    flat=True,
    reference="Tieleman & Hinton 2012",
)
