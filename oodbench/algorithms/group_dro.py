"""Group DRO (Sagawa et al. 2020, arXiv 1911.08731, algorithm 1): the worst environments count most.

Each environment has a weight q, at first the same for all. At each step

    q_e <- q_e exp(step_size risk_e), divided by their sum;   loss = sum over e of q_e risk_e.

Without the paper's generalization adjustment (its C is 0), as in DomainBed.
"""

from typing import TYPE_CHECKING

from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.spec import AlgorithmSpec, Forward, Setup, Unrestarted
from oodbench.spaces import log

if TYPE_CHECKING:
    from torch import Tensor


class GroupDRO(Unrestarted):
    """See ``oodbench.algorithms.spec.Algorithm``; its hyperparameter is ``group_step_size``."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._sizes, self._step = setup.each("group_step_size").unsqueeze(1), -1

    def losses(self, forward: Forward, inputs: "Tensor", labels: "Tensor", step: int) -> "Tensor":
        """Each model's risks, weighed by its own weights, which change once a step."""
        risks = cross_entropies(forward(inputs), labels, self._smoothing).mean(-1)
        q = self.state.get("weights")
        if q is None:
            q = risks.detach().new_full(risks.shape, 1 / risks.shape[1])
        if step != self._step:  # an optimizer may ask again for the loss of one step
            # log-sum-exp: q grows too fast for floats where a model diverges slowly
            q = (q.log() + self._sizes * risks.detach()).softmax(-1)
            self.state["weights"], self._step = q, step
        return (q * risks).sum(-1)


GROUP_DRO = AlgorithmSpec(
    "group_dro",
    GroupDRO,
    space={"group_step_size": log(1e-3, 1e-1)},
    smallest_group=1,
    every_environment=True,
    compares=True,
    smooths=True,
    hands_on=True,
    summary="Group DRO: cross-entropy with weights that grow with each environment's risk.",
    reference="Sagawa et al. 2020 (arXiv 1911.08731)",
)
