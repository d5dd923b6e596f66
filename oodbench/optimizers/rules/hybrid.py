"""Two optimizers that share the parameters of a model."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
from torch.optim import Optimizer


class Hybrid(Optimizer):
    """Optimizers of different parameters that take each step together, as one.

    Their groups and their state are its own, one after the other.

    Args:
        parts: The optimizers; at least one.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # which torch calls where it loads a state
        self._share()

    def _share(self) -> None:
        """Share learning rates and states: a change here is a change there."""
        groups = iter(self.param_groups)
        for part in self._parts:
            part.param_groups = list(islice(groups, len(part.param_groups)))
            part.state = self.state

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
