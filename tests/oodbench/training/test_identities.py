"""Optimizers that contain one another take the same path through the whole harness."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from training_helpers import CPU, make_trials, parameters

from oodbench.records import Trial
from oodbench.training import Tensors
from oodbench.training.loop import Run

LR, MU, WD = 0.05, 0.9, 1e-3
ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": WD}
MOMENTUM = {"lr": LR, "momentum": MU, "weight_decay": WD}
SGD = {"lr": LR, "weight_decay": WD}
HUGE = 1e12


def pair(*contestants: tuple[str, dict]) -> list[Trial]:
    """Trials that differ in the optimizer alone: one seed, one algorithm."""
    trials = make_trials(len(contestants), optimizer="sgd")
    return [
        replace(trial, optimizer=name, hparams=hparams, seed=3)
        for trial, (name, hparams) in zip(trials, contestants, strict=True)
    ]


def paths(
    data: Tensors, trials: list[Trial], before: Callable[[Run, int], None] = lambda run, step: None
) -> list[torch.Tensor]:
    """Where each model is after every step; ``before`` is called before each."""
    run, points = Run(trials, data, CPU), []
    for step in range(40):
        before(run, step)
        run.step(step)
        points.append(torch.stack([parameters(run, model) for model in range(len(trials))]))
    return list(torch.stack(points, dim=1))


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_momentum_it_is_sgd(colored64, name: str) -> None:
    without, sgd = paths(colored64, pair((name, MOMENTUM | {"momentum": 0.0}), ("sgd", SGD)))
    assert torch.equal(without, sgd)


def test_nesterov_is_not_momentum(colored64) -> None:
    one, other = paths(colored64, pair(("nesterov", MOMENTUM), ("momentum", MOMENTUM)))
    assert (one - other).abs().max() > 1e-3


def test_adam_with_a_huge_eps_is_rescaled_momentum(colored64) -> None:
    """m is (1 - beta1) times the momentum buffer, and its bias correction a learning rate."""
    adam = {**ADAM, "eps": HUGE, "lr": LR * HUGE}
    first, second = pair(("adam", adam), ("momentum", MOMENTUM))

    def rescale(run: Run, step: int) -> None:
        group = run.optimizers[1].param_groups[0]
        group["lr"] = LR * (1 - MU) / (1 - MU ** (step + 1))

    one, other = paths(colored64, [first, second], rescale)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_adagrad_with_a_huge_eps_is_sgd(colored64) -> None:
    adagrad = {"lr": LR * HUGE, "eps": HUGE, "weight_decay": WD}
    one, other = paths(colored64, pair(("adagrad", adagrad), ("sgd", SGD)))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_asgd_that_does_not_decay_is_sgd(colored64) -> None:
    asgd = {**SGD, "lambd": 0.0, "alpha": 0.75, "t0": 1e6}
    one, other = paths(colored64, pair(("asgd", asgd), ("sgd", SGD)))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)  # its rates are in float32


def test_adamw_with_no_decay_is_adam(colored64) -> None:
    none = {**ADAM, "weight_decay": 0.0}
    adamw, adam = paths(colored64, pair(("adamw", none), ("adam", none)))
    assert torch.equal(adamw, adam)


def test_adamw_with_decay_is_not_adam(colored64) -> None:
    adamw, adam = paths(colored64, pair(("adamw", ADAM), ("adam", ADAM)))
    assert (adamw - adam).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("name", "base", "hparams"), [("sam", "momentum", MOMENTUM), ("sam_adam", "adam", ADAM)]
)
def test_sam_with_no_radius_is_its_base(colored64, name: str, base: str, hparams) -> None:
    sam, alone = paths(colored64, pair((name, {**hparams, "rho": 0.0}), (base, hparams)))
    assert torch.equal(sam, alone)


def test_sam_with_a_radius_is_not_its_base(colored64) -> None:
    sam, alone = paths(colored64, pair(("sam", {**MOMENTUM, "rho": 0.1}), ("momentum", MOMENTUM)))
    assert (sam - alone).abs().max() > 1e-3


def test_schedule_free_sgd_without_momentum_trains_as_sgd(colored64) -> None:
    """With momentum near 0, gradients are taken at z alone: the iterates are those of SGD."""
    pytest.importorskip("schedulefree")
    free = {"lr": LR, "momentum": 1e-12, "weight_decay": WD}
    one, other = paths(colored64, pair(("schedule_free_sgd", free), ("sgd", SGD)))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
