"""The layers written out for K models, against each model run as the module that it is."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from oodbench.training.fast.batched import batched_forward
from oodbench.training.stack import by_vmap

K, N = 3, 5


def chain(*parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(*parts).double()


CHAINS = [
    chain(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)),
    chain(nn.Flatten(), nn.Linear(8, 6), nn.Linear(6, 4, bias=False), nn.ReLU()),
    chain(nn.Flatten(), nn.Linear(8, 2)),
]


def stacked(module: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(K, *p.shape, generator=generator, dtype=p.dtype).requires_grad_()
        for name, p in module.named_parameters()
    }


def inputs() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(K, N, 2, 2, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("module", CHAINS)
def test_outputs_and_gradients_are_those_of_each_module_alone(module: nn.Module) -> None:
    parameters, x = stacked(module), inputs().requires_grad_()
    forward = batched_forward(module)
    assert forward is not None
    out = forward(parameters, x)
    grads = torch.autograd.grad(out.square().sum(), [*parameters.values(), x])
    for k in range(K):
        mine = {name: p[k].detach().requires_grad_() for name, p in parameters.items()}
        x_k = x[k].detach().requires_grad_()
        expected = functional_call(module, mine, (x_k,))
        torch.testing.assert_close(out[k], expected, rtol=1e-13, atol=1e-13)
        alone = torch.autograd.grad(expected.square().sum(), [*mine.values(), x_k])
        for grad, one in zip(grads, alone, strict=True):
            torch.testing.assert_close(grad[k], one, rtol=1e-12, atol=1e-12)


def test_the_gradient_may_be_differentiated_again() -> None:
    def curvature(forward) -> list[Tensor]:
        parameters = stacked(CHAINS[0])
        loss = forward(parameters, inputs()).square().sum()
        first = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        total = sum(grad.square().sum() for grad in first)
        return list(torch.autograd.grad(total, list(parameters.values()), allow_unused=True))

    ours, reference = (
        curvature(batched_forward(CHAINS[0])),
        curvature(by_vmap(copy.deepcopy(CHAINS[0]))),
    )
    for one, other in zip(ours, reference, strict=True):
        assert one is not None
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(8, 2),
        nn.Sequential(),
        nn.Sequential(nn.Flatten()),
        nn.Sequential(nn.ReLU(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2), nn.Flatten()),
        nn.Sequential(nn.Flatten(2), nn.Linear(8, 2)),
        nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.GELU(), nn.Linear(4, 2)),
    ],
)
def test_other_modules_are_left_to_vmap(module: nn.Module) -> None:
    assert batched_forward(module) is None
