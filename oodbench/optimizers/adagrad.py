"""Adagrad and Adadelta."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log


def build_adagrad(params: Any, **hparams: Any) -> Any:
    """``torch.optim.Adagrad``."""
    from torch import optim

    return optim.Adagrad(params, **hparams)


def build_adadelta(params: Any, **hparams: Any) -> Any:
    """``torch.optim.Adadelta``."""
    from torch import optim

    return optim.Adadelta(params, **hparams)


ADAGRAD = OptimizerSpec(
    "adagrad",
    "adaptive",
    {"lr": log(1e-3, 1.0), "eps": log(1e-10, 1e-3), "weight_decay": log(1e-6, 1e-3)},
    build_adagrad,
    flat=True,
    reference="Duchi et al. 2011",
)

ADADELTA = OptimizerSpec(
    "adadelta",
    "adaptive",
    {
        "lr": log(1e-2, 10.0),
        "rho": one_minus_log(0.5, 0.999),
        "eps": log(1e-8, 1e-3),
        "weight_decay": log(1e-6, 1e-3),
    },
    build_adadelta,
    flat=True,
    reference="Zeiler 2012 (arXiv 1212.5701)",
)
