"""V-REx (Krueger et al. 2021, arXiv 2003.00688, equation 8): risks that differ are penalized."""

from typing import TYPE_CHECKING

from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.penalties import OPTIONS, Penalized
from oodbench.algorithms.spec import AlgorithmSpec
from oodbench.spaces import log, uniform

if TYPE_CHECKING:
    from torch import Tensor


class RiskExtrapolation(Penalized):
    """Risk extrapolation (V-REx); see ``Penalized``."""

    def risk_and_penalty(
        self, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "tuple[Tensor, Tensor]":
        """Mean and variance of the environments' risks.

        The paper adds the risks up; here as in DomainBed they are averaged, which only rescales
        the weight. The variance is over the environments, not an estimate from a sample of them.
        """
        risks = cross_entropies(logits, labels, smoothing).mean(-1)
        return risks.mean(-1), risks.var(-1, correction=0)


VREX = AlgorithmSpec(
    "vrex",
    RiskExtrapolation,
    space={"penalty_weight": log(0.1, 1e5), "anneal_fraction": uniform(0.1, 0.9)},
    options=OPTIONS,
    smallest_group=1,
    compares=True,
    smooths=True,
    hands_on=True,
    summary="V-REx: cross-entropy plus the variance of the environments' risks.",
    reference="Krueger et al. 2021 (arXiv 2003.00688)",
)
