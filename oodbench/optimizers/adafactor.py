"""Adafactor."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, uniform


def build(params: Any, **hparams: Any) -> Any:
    """``torch.optim.Adafactor``: second moments of a matrix by rows and columns, no momentum."""
    from torch import optim

    return optim.Adafactor(params, **hparams)


ADAFACTOR = OptimizerSpec(
    "adafactor",
    "adaptive",
    # lr is relative to the size of the parameters; decay is decoupled.
    {
        "lr": log(1e-4, 1e-1),
        "beta2_decay": uniform(-1.0, -0.5),
        "weight_decay": log(1e-4, 0.3),
    },
    build,
    reference="Shazeer & Stern 2018 (arXiv 1804.04235)",
)
