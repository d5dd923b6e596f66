"""Muon for hidden matrices and convolutions, AdamW for the rest."""

from typing import Any

from oodbench.optimizers.spec import OptimizerSpec
from oodbench.spaces import log, one_minus_log

BETAS = (0.9, 0.95)
"""Betas of AdamW, as in the author's ``MuonWithAuxAdam``. Its eps is torch's 1e-8: by 1e-10, as
there, rounding alone would decide some steps in single precision."""


def build(params: Any, lr: float, adamw_lr: float, momentum: float, weight_decay: float) -> Any:
    """Muon with a learning rate of its own for what is ``hidden``, AdamW for all else.

    Args:
        params: Groups, each with ``hidden``; see ``OptimizerSpec.hidden_apart``. Of plain tensors
            those are hidden that have two dimensions or more.
        lr: Muon's.
        adamw_lr: That of AdamW.
        momentum: Muon's.
        weight_decay: Weight decay of both.
    """
    from torch.optim import AdamW

    from oodbench.optimizers.rules.hybrid import Hybrid
    from oodbench.optimizers.rules.muon import Muon

    groups = by_shape(params)
    hidden = [group for group in groups if group["hidden"]]
    others = [group for group in groups if not group["hidden"]]
    parts: list[Any] = [Muon(hidden, lr, momentum, weight_decay)] if hidden else []
    if others:
        settings: dict[str, Any] = {"betas": BETAS, "weight_decay": weight_decay}
        parts.append(AdamW(others, lr=adamw_lr, fused=True, **settings))
    return Hybrid(parts)


def by_shape(params: Any) -> list[dict[str, Any]]:
    """Groups with ``hidden``, from plain tensors; those that are given as groups as they are."""
    given = list(params)
    if given and isinstance(given[0], dict):
        return given
    both = ((True, [p for p in given if p.ndim >= 2]), (False, [p for p in given if p.ndim < 2]))
    return [{"params": own, "hidden": hidden} for hidden, own in both if own]


MUON = OptimizerSpec(
    "muon",
    "adaptive",
    {
        "lr": log(1e-3, 1.0),
        "adamw_lr": log(1e-4, 1e-1),
        "momentum": one_minus_log(0.5, 0.99),
        "weight_decay": log(1e-4, 0.3),
    },
    build,
    hidden_apart=True,
    decoupled_decay=True,
    reference="Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon)",
)
