"""Every optimizer's step equals the update rule of its paper, written out in NumPy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from oodbench.errors import RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.spec import check_installed

State = dict[str, np.ndarray]
Rule = Callable[[np.ndarray, np.ndarray, State, int], np.ndarray]
"""(parameters, gradient, state, step from 1) -> new parameters"""

LR, MU, ALPHA, B1, B2, EPS, WD = 0.05, 0.8, 0.95, 0.85, 0.98, 1e-6, 0.01
LAMBD, DECAYS, T0, DECAY, MINUS, PLUS = 0.01, 0.75, 2.0, -0.8, 0.5, 1.2


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


def adagrad(w, g, state, t):
    g = g + WD * w
    state["s"] = zeros(state, "s", w) + g**2
    return w - LR * g / (np.sqrt(state["s"]) + EPS)


def adadelta(w, g, state, t):
    g = g + WD * w
    state["s"] = ALPHA * zeros(state, "s", w) + (1 - ALPHA) * g**2
    change = g * np.sqrt(zeros(state, "u", w) + EPS) / np.sqrt(state["s"] + EPS)
    state["u"] = ALPHA * state["u"] + (1 - ALPHA) * change**2
    return w - LR * change


def adamax(w, g, state, t):
    g = g + WD * w
    state["m"] = B1 * zeros(state, "m", w) + (1 - B1) * g
    state["u"] = np.maximum(B2 * zeros(state, "u", w), np.abs(g) + EPS)
    return w - LR / (1 - B1**t) * state["m"] / state["u"]


def nadam(w, g, state, t):
    g = g + WD * w
    state["m"] = B1 * zeros(state, "m", w) + (1 - B1) * g
    state["s"] = B2 * zeros(state, "s", w) + (1 - B2) * g**2
    mu = [B1 * (1 - 0.5 * 0.96 ** (i * 4e-3)) for i in range(1, t + 2)]  # torch's momentum_decay
    now, ahead = np.prod(mu[:t]), np.prod(mu)
    m = mu[t] * state["m"] / (1 - ahead) + (1 - mu[t - 1]) * g / (1 - now)
    return w - LR * m / (np.sqrt(state["s"] / (1 - B2**t)) + EPS)


def radam(w, g, state, t):
    g = g + WD * w
    state["m"] = B1 * zeros(state, "m", w) + (1 - B1) * g
    state["s"] = B2 * zeros(state, "s", w) + (1 - B2) * g**2
    most = 2 / (1 - B2) - 1
    rho = most - 2 * t * B2**t / (1 - B2**t)
    m = state["m"] / (1 - B1**t)
    if rho <= 5:  # its variance cannot be had yet
        return w - LR * m
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return w - LR * m * r * np.sqrt(1 - B2**t) / (np.sqrt(state["s"]) + EPS)


def adafactor(w, g, state, t):
    share = t**DECAY
    step = min(LR, 1 / np.sqrt(t)) * max(1e-3, np.sqrt((w**2).mean()))
    w = w * (1 - LR * WD)
    state["r"] = (1 - share) * zeros(state, "r", w[:, :1]) + share * (g**2).mean(1, keepdims=True)
    state["c"] = (1 - share) * zeros(state, "c", w[:1]) + share * (g**2).mean(0, keepdims=True)
    update = g / np.sqrt(state["r"] * state["c"] / state["r"].mean())
    return w - step * update / max(1.0, np.sqrt((update**2).mean()))


def asgd(w, g, state, t):
    g = g + WD * w
    rate = LR / (1 + LAMBD * LR * (t - 1)) ** DECAYS
    w = (1 - LAMBD * rate) * w - rate * g
    share = 1 / max(1, t - 1 - T0)
    state["x"] = (1 - share) * zeros(state, "x", w) + share * w
    return w


def rprop(w, g, state, t):
    size, before = state.setdefault("size", np.full_like(w, LR)), zeros(state, "g", w)
    factor = np.where(g * before > 0, PLUS, np.where(g * before < 0, MINUS, 1.0))
    state["size"] = np.clip(size * factor, 1e-6, 50)
    state["g"] = np.where(g * before < 0, 0.0, g)
    return w - np.sign(state["g"]) * state["size"]


def schedule_free(w, direction, momentum, state, t):
    """w is y, where gradients are taken; x, the average of the z, is what is evaluated."""
    z = state.setdefault("z", w.copy()) - LR * direction
    state["x"] = (1 - 1 / t) * state.setdefault("x", w.copy()) + z / t
    state["z"] = z
    return (1 - momentum) * z + momentum * state["x"]


def schedule_free_sgd(w, g, state, t):
    return schedule_free(w, g + WD * w, MU, state, t)


def schedule_free_adamw(w, g, state, t):
    state["s"] = B2 * zeros(state, "s", w) + (1 - B2) * g**2
    step = g / (np.sqrt(state["s"] / (1 - B2**t)) + EPS)
    return schedule_free(w, step + WD * w, B1, state, t)


BETAS = {"beta1": B1, "beta2": B2, "eps": EPS}
RULES: dict[str, tuple[Rule, dict[str, float]]] = {
    "sgd": (sgd, {}),
    "momentum": (momentum, {"momentum": MU}),
    "nesterov": (nesterov, {"momentum": MU}),
    "rmsprop": (rmsprop, {"alpha": ALPHA, "eps": EPS}),
    "adam": (adam, BETAS),
    "adamw": (adamw, BETAS),
    "adagrad": (adagrad, {"eps": EPS}),
    "adadelta": (adadelta, {"rho": ALPHA, "eps": EPS}),
    "adamax": (adamax, BETAS),
    "nadam": (nadam, BETAS),
    "radam": (radam, BETAS),
    "adafactor": (adafactor, {"beta2_decay": DECAY}),
    "asgd": (asgd, {"lambd": LAMBD, "alpha": DECAYS, "t0": T0}),
    "rprop": (rprop, {"eta_minus": MINUS, "eta_plus": PLUS}),
    "schedule_free_sgd": (schedule_free_sgd, {"momentum": MU}),
    "schedule_free_adamw": (schedule_free_adamw, BETAS),
}
ELSEWHERE = {"muon", "sam", "sam_adam", "sasgd", "sasam"}
"""They are tested in files of their own."""
WITHOUT_DECAY = {"rprop"}
SCALARS_IN_FLOAT32 = {"nadam", "asgd"}
"""torch keeps their schedules so, whatever the parameters are."""


def test_every_optimizer_has_a_rule() -> None:
    assert set(RULES) | ELSEWHERE == set(OPTIMIZERS.names())


def test_all_of_torchs_that_take_dense_first_order_steps_are_contestants() -> None:
    """LBFGS takes several steps in one, and SparseAdam sparse gradients."""
    classes = {name.lower() for name, kind in vars(torch.optim).items() if isinstance(kind, type)}
    assert classes - {"optimizer", "lbfgs", "sparseadam"} <= set(OPTIMIZERS.names())
    for spec in OPTIMIZERS:
        assert spec.kind in ("adaptive", "non-adaptive")
        assert "lr" in spec.space
        assert any(c.isdigit() for c in spec.reference)  # a year


def ready(name: str) -> None:
    spec = OPTIMIZERS.get(name)
    if not spec.installed:
        pytest.skip(f"the package {spec.package} is not installed")


@pytest.mark.parametrize("name", RULES)
def test_steps_equal_the_rule(name: str) -> None:
    ready(name)
    rule, own = RULES[name]
    rtol = 1e-6 if name in SCALARS_IN_FLOAT32 else 1e-10
    rng = np.random.default_rng(0)
    expected, state = rng.normal(size=(3, 2)), {}
    parameter = torch.tensor(expected, requires_grad=True)
    hparams = {"lr": LR, "weight_decay": WD, **own}
    optimizer: Any = OPTIMIZERS.get(name)([parameter], hparams)
    for t in range(1, 13):
        gradient = rng.normal(size=(3, 2))
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        expected = rule(expected, gradient, state, t)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=rtol, atol=1e-12)
    if OPTIMIZERS.get(name).averages:
        optimizer.eval()
        np.testing.assert_allclose(parameter.detach().numpy(), state["x"], rtol=rtol)
        optimizer.train()
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=rtol)


def test_kinds() -> None:
    kinds = {spec.name: spec.kind for spec in OPTIMIZERS}
    non_adaptive = {"sgd", "momentum", "nesterov", "asgd", "schedule_free_sgd"}
    assert {n for n, kind in kinds.items() if kind == "non-adaptive"} == {
        *non_adaptive,
        *("sam", "sasgd", "sasam"),
    }


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_gets_exactly_its_hyperparameters(name: str) -> None:
    ready(name)
    _, own = RULES[name]
    space = OPTIMIZERS.get(name).space
    assert set(space) == {"lr", *own} | (set() if name in WITHOUT_DECAY else {"weight_decay"})
    with pytest.raises(KeyError):
        OPTIMIZERS.get(name)([torch.zeros(1, requires_grad=True)], {"lr": LR})


def test_what_needs_a_package_that_is_missing_is_refused() -> None:
    spec = replace(OPTIMIZERS.get("sgd"), name="absent", package="no_such_package")
    assert not spec.installed
    with pytest.raises(RequestError, match=r"absent needs the package no_such_package.*optimizers"):
        check_installed(spec.name, spec.package)
