"""SAM against its equation, on a quadratic and around every base that it takes."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from oodbench.optimizers import OPTIMIZERS, sam_of
from oodbench.optimizers.rules.sam import Sam

A = np.diag([1.0, 4.0, 10.0])
"""The Hessian of the quadratic w A w / 2."""


def steps(optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor], n: int) -> None:
    """``n`` steps on the quadratic of all parameters together."""

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        w = torch.cat([p.flatten() for p in parameters])
        loss = w @ torch.from_numpy(A) @ w / 2
        loss.backward()
        return loss

    for _ in range(n):
        optimizer.step(closure)


def weights(shapes=((3,),)) -> list[torch.Tensor]:
    values = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64).split([np.prod(s) for s in shapes])
    return [v.clone().view(s).requires_grad_() for v, s in zip(values, shapes, strict=True)]


def test_steps_equal_the_equation() -> None:
    hparams = {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.1, "rho": 0.2}
    (w,) = weights()
    expected, v = w.detach().numpy().copy(), np.zeros(3)
    steps(OPTIMIZERS.get("sam")([w], hparams), [w], 8)
    for _ in range(8):
        g = A @ expected
        worse = A @ (expected + 0.2 * g / np.linalg.norm(g))
        v = 0.8 * v + worse + 0.1 * expected  # weight decay acts where the model is
        expected = expected - 0.03 * v
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-10)


def test_the_norm_is_over_all_parameters() -> None:
    hparams = {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.1, "rho": 0.2}
    together, apart = weights(), weights(((1, 2), (1,)))
    for ps in (together, apart):
        steps(OPTIMIZERS.get("sam")(ps, hparams), ps, 5)
    torch.testing.assert_close(torch.cat([p.flatten() for p in apart]), together[0])


@pytest.mark.parametrize("base", ["sgd", "momentum", "rmsprop", "adamw"])
def test_around_another_base(base: str) -> None:
    values = {"lr": 0.01, "momentum": 0.9, "alpha": 0.9, "beta1": 0.9, "beta2": 0.99}
    spec = sam_of(OPTIMIZERS.get(base), f"sam_{base}")
    assert (spec.evaluations, spec.kind) == (2, OPTIMIZERS.get(base).kind)
    hparams = {name: values.get(name, 1e-4) for name in spec.space}
    (w,), (expected,) = weights(), weights()
    steps(spec([w], hparams | {"rho": 0.1}), [w], 4)
    optimizer = OPTIMIZERS.get(base)([expected], hparams)
    for _ in range(4):
        g = torch.from_numpy(A) @ expected.detach()
        expected.grad = torch.from_numpy(A) @ (expected.detach() + 0.1 * g / g.norm())
        optimizer.step()
    torch.testing.assert_close(w, expected, rtol=1e-10, atol=0)


def test_no_gradient_no_direction() -> None:
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    steps(Sam(torch.optim.SGD([w], lr=0.1), rho=0.5), [w], 2)
    assert torch.equal(w, torch.zeros(3, dtype=torch.float64))


def test_a_step_needs_a_closure() -> None:
    (w,) = weights()
    with pytest.raises(TypeError, match="closure"):
        Sam(torch.optim.SGD([w], lr=0.1), rho=0.5).step()


def test_its_state_is_the_bases() -> None:
    (w,), (again,) = weights(), weights()
    build = OPTIMIZERS.get("sam").build
    hparams = {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.0, "rho": 0.2}
    optimizer = build([w], **hparams)
    steps(optimizer, [w], 3)
    resumed = build([again], **hparams)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    again.data.copy_(w.data)
    for one, p in ((optimizer, w), (resumed, again)):
        one.param_groups[0]["lr"] = 0.01  # reaches the base
        steps(one, [p], 3)
    assert torch.equal(w, again)
