"""Empirical risk minimization: the mean cross-entropy over all examples."""

from typing import TYPE_CHECKING

from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.spec import AlgorithmSpec, Forward, Unrestarted

if TYPE_CHECKING:
    from torch import Tensor


class EmpiricalRisk(Unrestarted):
    """Empirical risk minimisation; see ``oodbench.algorithms.spec.Algorithm``."""

    def losses(self, forward: Forward, inputs: "Tensor", labels: "Tensor", step: int) -> "Tensor":
        """Mean cross-entropy of each model, every environment's examples weighing the same."""
        return cross_entropies(forward(inputs), labels, self._smoothing).flatten(1).mean(1)


ERM = AlgorithmSpec(
    "erm",
    EmpiricalRisk,
    averages=True,
    smooths=True,
    hands_on=True,
    summary="Mean cross-entropy over the training environments.",
    reference="Vapnik 1998",
)
