"""torch's ASGD, with its average put to use."""

import torch
from torch.optim import ASGD


class AveragedSGD(ASGD):
    """``torch.optim.ASGD``, which keeps the average of its iterates but leaves using it to others.

    ``eval()`` puts the average into the parameters, ``train()`` the iterates back.
    """

    @torch.no_grad()
    def eval(self) -> None:
        """The average, in place of the iterates."""
        for state, p in self._averaged():
            state["iterate"] = p.clone()
            p.copy_(state["ax"])

    @torch.no_grad()
    def train(self) -> None:
        """Put the iterates back in place of their average."""
        for state, p in self._averaged():
            p.copy_(state.pop("iterate"))

    def _averaged(self) -> list[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        parameters = [p for group in self.param_groups for p in group["params"]]
        return [(self.state[p], p) for p in parameters if self.state[p]]
