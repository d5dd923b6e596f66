"""IRMv1 (Arjovsky et al. 2019, arXiv 1907.02893, equation IRMv1).

The penalty of an environment is the squared gradient of its risk with respect to a scale s = 1 on
the logits. Its unbiased estimate is the product of that gradient on the even and on the odd
examples of a batch, drawn with replacement, as in DomainBed. For the cross-entropy the gradient has
a closed form, so no double backward is needed: with logits z, probabilities p and one-hot labels y
(or smoothed ones),

    d/ds CE(s z, y) at s = 1  =  mean over examples of  sum over classes of (p - y) z.
"""

from typing import TYPE_CHECKING

from oodbench.algorithms.cross_entropy import classes_first
from oodbench.algorithms.penalties import OPTIONS, Penalized
from oodbench.algorithms.spec import AlgorithmSpec
from oodbench.spaces import log, uniform

if TYPE_CHECKING:
    from torch import Tensor


def risk_and_penalty(
    logits: "Tensor", labels: "Tensor", smoothing: float = 0.0
) -> "tuple[Tensor, Tensor]":
    """The risk and the IRMv1 penalty of each group of examples.

    Args:
        logits: (..., B, classes), B >= 2.
        labels: (..., B) integers.
        smoothing: The share of each label that is spread over all classes.

    Returns:
        Mean cross-entropy (...) and penalty (...); a penalty may be negative, as an unbiased
        estimate of a square may.
    """

    axis = -1
    if classes_first(logits):
        logits, axis = logits.transpose(-1, -2).contiguous(), -2

    def at_label(values: "Tensor") -> "Tensor":
        chosen = values.gather(axis, labels.unsqueeze(axis)).squeeze(axis)
        return chosen.lerp(values.mean(axis), smoothing) if smoothing else chosen

    log_p = logits.log_softmax(axis)
    risk = -at_label(log_p).mean(-1)
    slope = (log_p.exp() * logits).sum(axis) - at_label(logits)
    return risk, slope[..., ::2].mean(-1) * slope[..., 1::2].mean(-1)


class InvariantRisk(Penalized):
    """Invariant risk minimisation; see ``Penalized``."""

    def risk_and_penalty(
        self, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "tuple[Tensor, Tensor]":
        """Both averaged over a model's environments."""
        if labels.shape[-1] % 2 == 0:
            from oodbench.algorithms.irm_gradient import RiskAndPenalty

            both: tuple[Tensor, Tensor] = RiskAndPenalty.apply(logits, labels, smoothing)
            return both
        risk, penalty = risk_and_penalty(logits, labels, smoothing)
        return risk.mean(-1), penalty.mean(-1)


IRM = AlgorithmSpec(
    "irm",
    InvariantRisk,
    # Smaller weights leave the colour in; larger ones need larger batches, or end at chance.
    space={"penalty_weight": log(1e2, 1e4), "anneal_fraction": uniform(0.1, 0.5)},
    options=OPTIONS,
    smallest_group=2,
    averages=True,
    smooths=True,
    hands_on=True,
    summary="IRMv1: cross-entropy plus a penalty on how far each environment's risk is from a "
    "minimum in the scale of the logits.",
    reference="Arjovsky et al. 2019 (arXiv 1907.02893)",
)
