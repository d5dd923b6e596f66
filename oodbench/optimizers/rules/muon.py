"""Muon: momentum, orthogonalized matrix by matrix."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iterated quintic: it takes singular values in (0, 1] to about 0.68-1.14."""
ITERATIONS = 5
TINY = 1e-7
"""Added to the norm of a matrix, as in the author's code."""


class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

    With g the gradient of a matrix and u what Newton and Schulz make orthogonal,

        m <- m + (1 - momentum) (g - m);    u = orthogonal(g + momentum (m - g))
        w <- w - lr weight_decay w - lr max(1, rows / columns)^0.5 u

    A convolution is a matrix with a row for each output channel. The author's code computes u in
    bfloat16, for speed on GPUs; here it has the weights' own precision. There the factor of a
    convolution is always 1: rows and columns are those of its kernel.

    Args:
        params: Matrices and convolutions, or groups of them.
        lr: How far a step goes: of u, singular values are about 1.
        momentum: Nesterov's.
        weight_decay: Decoupled, as AdamW's.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with the stored gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._step_of(p, p.grad, group)
        return loss

    def _step_of(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state, momentum = self.state[p], group["momentum"]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        average = state["momentum_buffer"].lerp_(grad, 1 - momentum)
        update = orthogonal(grad.lerp(average, momentum).flatten(1))
        rows, columns = update.shape
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(update.view_as(p), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthogonal rows or columns, roughly, by Newton and Schulz."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (torch.linalg.vector_norm(x) + TINY)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
