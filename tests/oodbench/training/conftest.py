"""Optimizers and models that do not behave, for the tests of the loop."""

import pytest
import torch

from oodbench.models import MODELS
from oodbench.optimizers import OPTIMIZERS, OptimizerSpec


class Replacing(torch.optim.SGD):
    """SGD that puts a new tensor in a parameter's place, as some optimizers do."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data - group["lr"] * p.grad


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimizers ``replacing`` (that does not say so) and ``confessing`` (that does)."""
    for registry in (OPTIMIZERS, MODELS):
        monkeypatch.setattr(registry, "_things", dict(registry._things))
    space = {"lr": OPTIMIZERS.get("sgd").space["lr"]}
    for name, stackable in (("replacing", True), ("confessing", False)):
        OPTIMIZERS.add(OptimizerSpec(name, "non-adaptive", space, Replacing, stackable=stackable))
