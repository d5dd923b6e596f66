"""IRMv1 (Arjovsky et al. 2019, arXiv 1907.02893, equation IRMv1).

The penalty of an environment is the squared gradient of its risk with respect to a scale s = 1 on
the logits. Its unbiased estimate is the product of that gradient on the even and on the odd
examples of a batch, drawn with replacement, as in DomainBed. For the cross-entropy the gradient has
a closed form, so no double backward is needed: with logits z, probabilities p and one-hot labels y,

    d/ds CE(s z, y) at s = 1  =  mean over examples of  sum over classes of (p - y) z.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from oodbench.algorithms.spec import AlgorithmSpec, HParams
from oodbench.spaces import log, uniform

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DOMAINBED_ADAM: HParams = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
"""What ``restart: adam`` adds to the trial's lr and weight_decay: torch's own defaults."""


def risk_and_penalty(logits: "Tensor", labels: "Tensor") -> "tuple[Tensor, Tensor]":
    """The risk and the IRMv1 penalty of each group of examples.

    Args:
        logits: (..., B, classes), B >= 2.
        labels: (..., B) integers.

    Returns:
        Mean cross-entropy (...) and penalty (...); a penalty may be negative, as an unbiased
        estimate of a square may.
    """
    log_p = logits.log_softmax(-1)
    index = labels.unsqueeze(-1)
    risk = -log_p.gather(-1, index).squeeze(-1).mean(-1)
    slope = (log_p.exp() * logits).sum(-1) - logits.gather(-1, index).squeeze(-1)
    return risk, slope[..., ::2].mean(-1) * slope[..., 1::2].mean(-1)


class InvariantRisk:
    """See ``oodbench.algorithms.spec.Algorithm``.

    Args:
        hparams: ``penalty_weight``; ``anneal_fraction``: the share of the steps that are trained
            with a penalty weight of 1 first.
        steps: Of the whole run.
        restart: What happens to the optimizer when the weight jumps: ``same`` builds the same
            optimizer anew; ``none`` goes on; ``adam`` puts a fresh Adam with the trial's lr and
            weight_decay whatever the optimizer was, as DomainBed does.
        rescale: Divide the loss by a penalty weight above 1, as the original code does and
            DomainBed does not.
    """

    def __init__(
        self,
        hparams: Sequence[HParams],
        steps: int,
        device: "torch.device",
        dtype: "torch.dtype",
        restart: Literal["same", "none", "adam"],
        rescale: bool,
    ) -> None:
        import torch

        jumps = [round(float(h["anneal_fraction"]) * steps) for h in hparams]
        self._jumps = torch.tensor(jumps, device=device)
        weights = [float(h["penalty_weight"]) for h in hparams]
        self._weights = torch.tensor(weights, device=device, dtype=dtype)
        self._rescale = rescale
        self.restart_as = ("adam", DOMAINBED_ADAM) if restart == "adam" else None
        self.restarts: dict[int, list[int]] = {}
        if restart != "none":
            for model, jump in enumerate(jumps):
                self.restarts.setdefault(jump, []).append(model)

    def losses(
        self, forward: "Callable[[Tensor], Tensor]", inputs: "Tensor", labels: "Tensor", step: int
    ) -> "Tensor":
        """Risk plus weighted penalty of each model, both averaged over its environments."""
        risk, penalty = risk_and_penalty(forward(inputs), labels)
        weight = self._weights.where(self._jumps <= step, 1.0)
        loss = risk.mean(-1) + weight * penalty.mean(-1)
        return loss / weight.clamp(min=1.0) if self._rescale else loss


IRM = AlgorithmSpec(
    "irm",
    InvariantRisk,
    space={"penalty_weight": log(1.0, 1e4), "anneal_fraction": uniform(0.1, 0.9)},
    options={"restart": ("same", "none", "adam"), "rescale": (True, False)},
    smallest_group=2,
    summary="IRMv1: cross-entropy plus a penalty on how far each environment's risk is from a "
    "minimum in the scale of the logits.",
    reference="Arjovsky et al. 2019 (arXiv 1907.02893)",
)
