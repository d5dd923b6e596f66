"""Optimizers that take the gradient at more than one point of each step."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Reevaluating(Optimizer):
    """An optimizer whose step is a sequence of moves, with a gradient taken after each.

    A training loop that drives many models at once asks for ``passes``; ``step(closure)`` is the
    same for one.
    """

    @abstractmethod
    def passes(self) -> Iterator[None]:
        """Take one step, from parameters whose gradient is in ``.grad``.

        At each yield the parameters are where the gradient is needed next: whoever asked for the
        passes puts it into ``.grad``, on the same examples, and goes on. To be run where gradients
        are off.
        """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Args:
            closure: Zeroes the gradients, computes the loss of one fixed batch and its gradient.

        Raises:
            TypeError: If there is none.
        """
        if closure is None:
            raise TypeError(f"{type(self).__name__}.step needs a closure that computes gradients.")
        with torch.enable_grad():
            loss = closure()
        for _ in self.passes():
            with torch.enable_grad():
                closure()
        return loss

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters, of every group."""
        return [p for group in self.param_groups for p in group["params"]]


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """A copy of the gradient of each parameter; zero where the loss does not depend on it."""
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all entries together."""
    norms: list[Tensor] = [torch.linalg.vector_norm(tensor) for tensor in tensors]
    return torch.stack(norms).norm() if len(norms) > 1 else norms[0]
