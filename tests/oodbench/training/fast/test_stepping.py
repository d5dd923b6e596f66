"""A step without its wrapping is the step, bit for bit; with something hung on it, it stays."""

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from training_helpers import NAMES

from oodbench.optimizers import OPTIMIZERS
from oodbench.sweep.search import draw
from oodbench.training.fast.stepping import stepper


def trained(name: str, unwrapped: bool) -> torch.Tensor:
    spec = OPTIMIZERS.get(name)
    parameter = torch.linspace(-1, 1, 50).requires_grad_()
    optimizer = spec([parameter], draw(spec.space, 1, seed=0)[0])
    take_step: Any = stepper(optimizer) if unwrapped else optimizer.step

    def gradient() -> None:
        parameter.grad = 2 * parameter.detach()

    for _ in range(5):
        gradient()
        with torch.no_grad():
            if spec.evaluations == 1:
                take_step()
            elif unwrapped:
                for _ in take_step():
                    gradient()
            else:
                take_step(gradient)
    return parameter.detach()


@pytest.mark.parametrize("name", NAMES)
def test_the_step_is_the_same(name: str) -> None:
    assert torch.equal(trained(name, unwrapped=True), trained(name, unwrapped=False))


SCHEDULED = [
    name
    for name in NAMES
    if OPTIMIZERS.get(name).evaluations == 1 and not OPTIMIZERS.get(name).sets_lr
]


@pytest.mark.parametrize("name", SCHEDULED)
def test_so_it_is_when_the_learning_rate_and_the_state_are_set(name: str) -> None:
    spec = OPTIMIZERS.get(name)
    hparams = draw(spec.space, 1, seed=0)[0]
    ends = []
    for unwrapped in (True, False):
        parameter = torch.linspace(-1, 1, 50).requires_grad_()
        optimizer = spec([parameter], hparams)
        take_step: Any = stepper(optimizer) if unwrapped else optimizer.step
        for step in range(6):
            if step == 3:  # as a run that is resumed does: the groups are others then
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (step + 1)
            parameter.grad = 2 * parameter.detach()
            with torch.no_grad():
                take_step()
        ends.append(parameter.detach())
    assert torch.equal(*ends)


class Counting(torch.optim.SGD):
    steps = 0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        type(self).steps += 1
        super().step(closure)


def test_other_optimizers_and_hooks_are_left_alone() -> None:
    parameter = torch.ones(1, requires_grad=True)
    parameter.grad = torch.ones(1)
    stepper(Counting([parameter], lr=0.1))()
    assert Counting.steps == 1
    hooked, called = torch.optim.SGD([parameter], lr=0.1), list[int]()
    hooked.register_step_post_hook(lambda *args: called.append(1))
    stepper(hooked)()
    assert called == [1]
    patched = torch.optim.SGD([parameter], lr=0.1)
    patched.step = lambda closure=None: called.append(2)  # as schedulers do
    stepper(patched)()
    assert called == [1, 2]


def test_an_optimizer_without_dynamo_is_the_same_and_can_be_saved() -> None:
    program = """
import sys, torch
from oodbench.training.fast.stepping import spare_dynamo, stepper
spare_dynamo()
weights = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.5, momentum=0.5)
for _ in range(2):
    weights.grad = torch.tensor([1.0, 2.0])
    with torch.no_grad():
        stepper(optimizer)()
optimizer.load_state_dict(optimizer.state_dict())
optimizer.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
optimizer.zero_grad()
print(weights.tolist(), len(optimizer.param_groups), weights.grad, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    # Steps of .5 times g, then of .5 times (g + .5 g).
    assert done.stdout.strip() == "[-0.25, -1.5] 2 None False", done.stderr
