"""SA-SGD and SA-SAM against their equations in NumPy, and on quadratics of known smoothness."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.rules.smoothness_aware import VARIANTS

Array = np.ndarray
E0, DECAY = 0.02, 0.01


def code(gradient, w: Array, perturbed: bool, steps: int) -> tuple[Array, list[float]]:
    """The authors' code: the radius is of the last step size, which grows by at most 1%."""
    before, e, ratio, sizes = w, E0, 1.0, []
    for _ in range(steps):
        g, old = gradient(w), gradient(before)
        moved, turned = np.linalg.norm(w - before), np.linalg.norm(g - old)
        new = e * np.sqrt(1 + 0.02 * ratio)
        if moved and turned:
            new = min(new, moved / turned)
        new += 1e-8
        follow = gradient(w + np.sqrt(e) * g / (np.linalg.norm(g) + 1e-8)) if perturbed else g
        before, w = w, w - new * (follow + DECAY * w)
        ratio, e = new / e, new
        sizes.append(e)
    return w, sizes


def transcription(gradient, w: Array, perturbed: bool, steps: int) -> tuple[Array, list[float]]:
    """The transcription: k = 2, b = 1, the first step is e_0 and the second has no cap."""
    sizes, ratio, before, e = [], math.inf, w, E0
    for t in range(steps):
        g = gradient(w)
        if t > 0:
            found = np.linalg.norm(w - before) / (2 * np.linalg.norm(g - gradient(before)))
            new = min(found, e * np.sqrt(1 + ratio))
            ratio, e = new / e, new
        follow = gradient(w + np.sqrt(e) * g / np.linalg.norm(g)) if perturbed else g
        before, w = w, w - e * (follow + DECAY * w)
        sizes.append(e)
    return w, sizes


RULES = {"code": code, "transcription": transcription}


def run(name: str, variant: str, gradient, start: Array, steps: int, e0: float = E0):
    """The parameters after some steps, and the step sizes, of our optimizer."""
    w = torch.tensor(start, requires_grad=True)
    hparams = {"lr": e0, "weight_decay": DECAY, "variant": variant}
    optimizer, calls, sizes = OPTIMIZERS.get(name)([w], hparams), 0, []

    def closure() -> None:
        nonlocal calls
        calls += 1
        w.grad = torch.from_numpy(gradient(w.detach().numpy()))

    for _ in range(steps):
        optimizer.step(closure)
        sizes.append(optimizer.param_groups[0]["step_size"].item())
    assert calls == steps * OPTIMIZERS.get(name).evaluations
    return w.detach().numpy(), sizes


def curved(w: Array) -> Array:
    """The gradient of a loss that is no quadratic: its smoothness changes along the path."""
    return np.array([1.0, 3.0, 9.0, 0.5]) * np.sinh(w) + 0.3 * np.roll(w, 1)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["sasgd", "sasam"])
def test_steps_equal_the_equations(name: str, variant: str) -> None:
    start = np.random.default_rng(0).normal(size=4)
    expected, sizes = RULES[variant](curved, start, name == "sasam", 25)
    found, found_sizes = run(name, variant, curved, start, 25)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(found_sizes, sizes, rtol=1e-9)


def quadratic(smoothness: float, dimension: int = 20):
    """The gradient of a quadratic whose eigenvalues go up to its smoothness."""
    return lambda w: np.linspace(smoothness / 10, smoothness, dimension) * w


@pytest.mark.parametrize("smoothness", [2.0, 10.0, 50.0])
def test_the_code_settles_at_one_over_the_smoothness(smoothness: float) -> None:
    """With SA-SAM's perturbation the top direction keeps moving, and L-hat is L: e = 1 / L."""
    start = np.random.default_rng(1).normal(size=20)
    _, sizes = run("sasam", "code", quadratic(smoothness), start, 600, e0=0.2 / smoothness)
    assert max(sizes[:-100]) < 4 / smoothness
    assert np.median(sizes[-100:]) == pytest.approx(1 / smoothness, rel=0.02)
    growth = np.array(sizes[1:]) / sizes[:-1]
    assert growth.max() < 1.011  # sqrt(1 + 0.02), at first


@pytest.mark.parametrize("name", ["sasgd", "sasam"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_where_all_directions_curve_alike_the_estimate_is_exact(name: str, variant: str) -> None:
    """L-hat = D / G is 7 whatever the path, so e is 1 / (k 7) once it is no longer capped."""
    start = np.random.default_rng(2).normal(size=5)
    _, sizes = run(name, variant, lambda w: 7 * w, start, 12, e0=0.142)
    assert sizes[1:] == pytest.approx([1 / (7 * VARIANTS[variant].damping)] * 11, rel=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_gradient_nothing_happens(variant: str) -> None:
    found, sizes = run("sasam", variant, np.zeros_like, np.zeros(3), 4)
    assert (found == 0).all()
    assert np.isfinite(sizes).all()


@pytest.mark.parametrize("name", ["sasgd", "sasam"])
def test_norms_are_over_all_parameters(name: str) -> None:
    hparams = {"lr": E0, "weight_decay": DECAY, "variant": "code"}
    whole = torch.linspace(-1, 1, 6, dtype=torch.float64).requires_grad_()
    parts = [p.clone().requires_grad_() for p in whole.detach().split([2, 4])]
    for parameters in ([whole], parts):
        optimizer = OPTIMIZERS.get(name)(parameters, hparams)

        def closure(optimizer=optimizer, parameters=parameters) -> None:
            optimizer.zero_grad()
            w = torch.cat(parameters)
            (w.cosh() * torch.arange(1, 7)).sum().backward()

        for _ in range(6):
            optimizer.step(closure)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=0)


def test_its_state_can_be_saved() -> None:
    start = np.random.default_rng(3).normal(size=4)
    expected, _ = run("sasam", "code", curved, start, 8)
    hparams = {"lr": E0, "weight_decay": DECAY, "variant": "code"}
    w = torch.tensor(start, requires_grad=True)
    optimizer: Any = OPTIMIZERS.get("sasam")([w], hparams)
    for _ in range(8):
        fresh: Any = OPTIMIZERS.get("sasam")([w], hparams)
        fresh.load_state_dict(optimizer.state_dict())
        optimizer = fresh
        optimizer.step(lambda: setattr(w, "grad", torch.from_numpy(curved(w.detach().numpy()))))
    np.testing.assert_array_equal(w.detach().numpy(), expected)
