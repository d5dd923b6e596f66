"""Muon for matrices, AdamW for the rest."""

from functools import partial
from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log


def build(params: Any, lr: float, momentum: float, weight_decay: float) -> Any:
    """``torch.optim.Muon`` with Nesterov momentum and five Newton-Schulz iterations.

    Its steps are scaled to the root mean square of AdamW's (Liu et al. 2025, arXiv 2502.16982,
    equation 4), so that one learning rate and one weight decay serve both.
    """
    from torch import optim

    from oodbench.optimizers.rules.hybrid import Hybrid

    both: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    muon = partial(optim.Muon, momentum=momentum, adjust_lr_fn="match_rms_adamw", **both)
    return Hybrid(params, muon, partial(optim.AdamW, fused=True, **both))


MUON = OptimizerSpec(
    "muon",
    "adaptive",
    {
        "lr": log(1e-4, 1e-1),
        "momentum": one_minus_log(0.5, 0.99),
        "weight_decay": log(1e-4, 0.3),
    },
    build,
    decoupled_decay=True,
    reference="Jordan et al. 2024 (torch.optim.Muon)",
)
