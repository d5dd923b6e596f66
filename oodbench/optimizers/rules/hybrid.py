"""One optimizer for matrices, another for the other parameters."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Hybrid(Optimizer):
    """Two optimizers that share the parameters of a model and take each step together.

    Args:
        params: The parameters, in their own shapes, or groups of them.
        of_matrices: Builds the optimizer of those with two dimensions.
        of_the_rest: Builds the optimizer of all others: biases, gains, convolutions.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        of_matrices: Callable[[list[dict[str, Any]]], Optimizer],
        of_the_rest: Callable[[list[dict[str, Any]]], Optimizer],
    ) -> None:
        super().__init__(params, {})

        def share(matrices: bool) -> list[dict[str, Any]]:
            found = [
                {**group, "params": [p for p in group["params"] if (p.ndim == 2) == matrices]}
                for group in self.param_groups
            ]
            return [group for group in found if group["params"]]

        pairs = ((of_matrices, share(True)), (of_the_rest, share(False)))
        self._parts = [build(groups) for build, groups in pairs if groups]
        self._share_groups()

    def _share_groups(self) -> None:
        """Who changes a learning rate here changes it there."""
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Those of the two."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: Any) -> None:
        """The inverse of ``state_dict``."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()
