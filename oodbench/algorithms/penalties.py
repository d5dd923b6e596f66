"""A risk and a weighted penalty, whose weight jumps once: what IRM and VREx have in common."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Literal

from oodbench.algorithms.spec import Forward, HParams, Setup

if TYPE_CHECKING:
    from torch import Tensor

DOMAINBED_ADAM: HParams = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
"""What ``restart: adam`` adds to the trial's lr and weight_decay: torch's own defaults."""
OPTIONS: dict[str, tuple[Any, ...]] = {
    "restart": ("same", "none", "adam"),
    "rescale": (True, False),
}


class Penalized(ABC):
    """An algorithm whose loss has a penalty: see ``oodbench.algorithms.spec.Algorithm``.

    Args:
        setup: Setup with the hyperparameters ``penalty_weight``, and ``anneal_fraction``: the share
            of the steps that are trained with a penalty weight of 1 first.
        restart: What happens to the optimizer when the weight jumps: ``same`` builds the same
            optimizer anew; ``none`` goes on; ``adam`` puts a fresh Adam with the trial's lr and
            weight_decay whatever the optimizer was, as DomainBed does.
        rescale: Divide the loss by a penalty weight above 1, and with it weight decay that is a
            part of it, as the original code does and DomainBed does not.
    """

    def __init__(
        self, setup: Setup, restart: Literal["same", "none", "adam"], rescale: bool
    ) -> None:
        import torch

        jumps = [round(float(h["anneal_fraction"]) * setup.steps) for h in setup.hparams]
        self._jumps, self._sorted = torch.tensor(jumps, device=setup.device), sorted(jumps)
        self._jumped = -1  # how many at the step of which factors were computed
        self._weights = setup.each("penalty_weight")
        self._rescale, self._smoothing = rescale, setup.smoothing
        self.state: dict[str, Tensor] = {}
        self.restart_as = ("adam", DOMAINBED_ADAM) if restart == "adam" else None
        self.restarts: dict[int, list[int]] = {}
        if restart != "none":
            for model, jump in enumerate(jumps):
                self.restarts.setdefault(jump, []).append(model)
        self.divisors: dict[int, dict[int, float]] = {}
        for model, (jump, weight) in enumerate(zip(jumps, self._weights.tolist(), strict=True)):
            if rescale and weight > 1:
                self.divisors.setdefault(jump, {})[model] = weight

    @abstractmethod
    def risk_and_penalty(
        self, logits: "Tensor", labels: "Tensor", smoothing: float
    ) -> "tuple[Tensor, Tensor]":
        """The (K,) risks and penalties from (K, G, B, classes) logits and (K, G, B) labels."""

    def losses(self, forward: Forward, inputs: "Tensor", labels: "Tensor", step: int) -> "Tensor":
        """Risk plus weighted penalty of each model."""
        risk, penalty = self.risk_and_penalty(forward(inputs), labels, self._smoothing)
        weight, divisor = self._factors(step)
        loss = risk + weight * penalty
        return loss / divisor if self._rescale else loss

    def _factors(self, step: "int | Tensor") -> "tuple[Tensor, Tensor]":
        """The (K,) penalty weights at a step, and what a rescaled loss is divided by.

        They are computed where a weight jumps. In a compiled step, which is a tensor, each time.
        """
        if not isinstance(step, int):
            return self._computed(step)
        jumped = bisect_right(self._sorted, step)
        if jumped != self._jumped:
            self._jumped, self._found = jumped, self._computed(step)
        return self._found

    def _computed(self, step: "int | Tensor") -> "tuple[Tensor, Tensor]":
        weight = self._weights.where(self._jumps <= step, 1.0)
        return weight, weight.clamp(min=1.0)
