"""Sharpness-aware minimization: a base optimizer's step, with the gradient from a worse place."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.optim import Optimizer

from oodbench.optimizers.rules.reevaluating import Reevaluating, gradients, norm

TINY = 1e-12
"""Added to the gradient's norm, as in the authors' code."""


class Sam(Reevaluating):
    """SAM (Foret et al. 2021, arXiv 2010.01412, equation 3) around a base optimizer.

    The base optimizer takes its step from w with the gradient at w + rho g / ||g||, where g is the
    gradient at w on the same examples and the norm is over all parameters. Two gradients a step.

    Args:
        base: Optimizer of the parameters; its weight decay acts on w.
        rho: The radius; 0 is the base optimizer.

    Attributes:
        base, rho: See above.
    """

    def __init__(self, base: Optimizer, rho: float) -> None:
        super().__init__([p for g in base.param_groups for p in g["params"]], {})
        self.base, self.rho = base, rho
        self.param_groups = base.param_groups  # who changes their learning rate changes the base's

    @torch.no_grad()
    def passes(self) -> Iterator[None]:
        """The passes of one step; see ``Reevaluating``."""
        parameters = self.parameters
        here, gradient = [p.clone() for p in parameters], gradients(parameters)
        scale = self.rho / (norm(gradient) + TINY)
        for p, g in zip(parameters, gradient, strict=True):
            p.add_(g * scale)
        yield
        for p, w in zip(parameters, here, strict=True):
            p.copy_(w)
        self.base.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of the base optimizer: SAM itself has none."""
        return self.base.state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        """Restore what ``state_dict`` returned."""
        self.base.load_state_dict(state_dict)
        self.param_groups = self.base.param_groups
