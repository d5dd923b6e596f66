"""Adam (weight decay in the gradient) and AdamW (decoupled)."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log

SPACE = {
    "lr": log(1e-4, 1e-1),
    "beta1": one_minus_log(0.5, 0.99),
    "beta2": one_minus_log(0.9, 0.9999),
    "eps": log(1e-8, 1e-3),
}


def build_adam(params: Any, beta1: float, beta2: float, **hparams: Any) -> Any:
    """``torch.optim.Adam``: coupled L2, no amsgrad, as in the study."""
    from torch import optim

    return optim.Adam(params, betas=(beta1, beta2), fused=True, **hparams)


def build_adamw(params: Any, beta1: float, beta2: float, **hparams: Any) -> Any:
    """``torch.optim.AdamW``."""
    from torch import optim

    return optim.AdamW(params, betas=(beta1, beta2), fused=True, **hparams)


ADAM = OptimizerSpec(
    "adam",
    "adaptive",
    {**SPACE, "weight_decay": log(1e-6, 1e-3)},
    build_adam,
    flat=True,
    reference="Kingma & Ba 2015",
)

ADAMW = OptimizerSpec(
    "adamw",
    "adaptive",
    # Decoupled decay acts per step as lr * weight_decay, hence a wider and higher range.
    {**SPACE, "weight_decay": log(1e-4, 0.3)},
    build_adamw,
    flat=True,
    reference="Loshchilov & Hutter 2019",
)
