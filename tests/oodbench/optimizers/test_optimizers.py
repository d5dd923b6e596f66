"""Every optimizer's step equals the update rule of its paper, written out in NumPy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from oodbench.optimizers import OPTIMIZERS

State = dict[str, np.ndarray]
Rule = Callable[[np.ndarray, np.ndarray, State, int], np.ndarray]
"""(parameters, gradient, state, step from 1) -> new parameters"""

LR, MU, ALPHA, B1, B2, EPS, WD = 0.05, 0.8, 0.95, 0.85, 0.98, 1e-6, 0.01


def zeros(state: State, name: str, like: np.ndarray) -> np.ndarray:
    return state.setdefault(name, np.zeros_like(like))


def sgd(w, g, state, t):
    return w - LR * (g + WD * w)


def momentum(w, g, state, t):
    g = g + WD * w
    state["v"] = MU * zeros(state, "v", w) + g
    return w - LR * state["v"]


def nesterov(w, g, state, t):
    g = g + WD * w
    state["v"] = MU * zeros(state, "v", w) + g
    return w - LR * (g + MU * state["v"])


def rmsprop(w, g, state, t):
    g = g + WD * w
    state["s"] = ALPHA * zeros(state, "s", w) + (1 - ALPHA) * g**2
    return w - LR * g / (np.sqrt(state["s"]) + EPS)


def adam_step(w, g, state, t):
    state["m"] = B1 * zeros(state, "m", w) + (1 - B1) * g
    state["s"] = B2 * zeros(state, "s", w) + (1 - B2) * g**2
    return LR * (state["m"] / (1 - B1**t)) / (np.sqrt(state["s"] / (1 - B2**t)) + EPS)


def adam(w, g, state, t):
    return w - adam_step(w, g + WD * w, state, t)


def adamw(w, g, state, t):
    return w - LR * WD * w - adam_step(w, g, state, t)


BETAS = {"beta1": B1, "beta2": B2, "eps": EPS}
RULES: dict[str, tuple[Rule, dict[str, float]]] = {
    "sgd": (sgd, {}),
    "momentum": (momentum, {"momentum": MU}),
    "nesterov": (nesterov, {"momentum": MU}),
    "rmsprop": (rmsprop, {"alpha": ALPHA, "eps": EPS}),
    "adam": (adam, BETAS),
    "adamw": (adamw, BETAS),
}


def test_every_optimizer_has_a_rule() -> None:
    assert set(RULES) == set(OPTIMIZERS.names())


@pytest.mark.parametrize("name", RULES)
def test_steps_equal_the_rule(name: str) -> None:
    rule, own = RULES[name]
    rng = np.random.default_rng(0)
    expected, state = rng.normal(size=(3, 2)), {}
    parameter = torch.tensor(expected, requires_grad=True)
    hparams = {"lr": LR, "weight_decay": WD, **own}
    optimizer = OPTIMIZERS.get(name)([parameter], hparams)
    for t in range(1, 7):
        gradient = rng.normal(size=(3, 2))
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        expected = rule(expected, gradient, state, t)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_kinds_are_those_of_the_study() -> None:
    kinds = {spec.name: spec.kind for spec in OPTIMIZERS}
    assert {n for n, kind in kinds.items() if kind == "adaptive"} == {"rmsprop", "adam", "adamw"}


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_gets_exactly_its_hyperparameters(name: str) -> None:
    _, own = RULES[name]
    space = OPTIMIZERS.get(name).space
    assert set(space) == {"lr", "weight_decay", *own}
    with pytest.raises(KeyError):
        OPTIMIZERS.get(name)([torch.zeros(1, requires_grad=True)], {"lr": LR})
