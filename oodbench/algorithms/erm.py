"""Empirical risk minimization: the mean cross-entropy over all examples."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oodbench.algorithms.spec import AlgorithmSpec, HParams

if TYPE_CHECKING:
    from torch import Tensor


class EmpiricalRisk:
    """See ``oodbench.algorithms.spec.Algorithm``."""

    restarts: Mapping[int, Sequence[int]] = {}
    restart_as: tuple[str, HParams] | None = None

    def __init__(self, hparams: Sequence[HParams], steps: int, device: Any, dtype: Any) -> None:
        pass

    def losses(
        self, forward: "Callable[[Tensor], Tensor]", inputs: "Tensor", labels: "Tensor", step: int
    ) -> "Tensor":
        """Mean cross-entropy of each model, every environment's examples weighing the same."""
        from torch.nn.functional import cross_entropy

        logits = forward(inputs)
        each = cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction="none")
        return each.view(len(labels), -1).mean(1)


ERM = AlgorithmSpec(
    "erm",
    EmpiricalRisk,
    summary="Mean cross-entropy over the training environments.",
    reference="Vapnik 1998",
)
