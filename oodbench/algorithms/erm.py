"""Empirical risk minimization: the mean cross-entropy over all examples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.spec import AlgorithmSpec, Forward, HParams

if TYPE_CHECKING:
    from torch import Tensor


class EmpiricalRisk:
    """See ``oodbench.algorithms.spec.Algorithm``."""

    restarts: Mapping[int, Sequence[int]] = {}
    restart_as: tuple[str, HParams] | None = None

    def __init__(
        self,
        hparams: Sequence[HParams],
        steps: int,
        device: Any,
        dtype: Any,
        smoothing: float = 0.0,
    ) -> None:
        self._smoothing = smoothing
        self.state: dict[str, Tensor] = {}

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
