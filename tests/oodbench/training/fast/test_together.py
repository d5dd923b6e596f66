"""A step that models take together is that of each one's own optimizer."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from training_helpers import make_trials, parameters, run_together

from oodbench.optimizers import OPTIMIZERS
from oodbench.sweep.search import draw
from oodbench.training.fast.together import Steps

SGDS = ["sgd", "momentum", "nesterov"]
ADAPTIVE = ["rmsprop", "adagrad", "adam", "adamw", "adamax", "nadam", "radam"]
CASES = [*SGDS, *ADAPTIVE]
P = 37


class Rows:
    """Models whose loss is a fourth power around a target of their own, in one matrix."""

    def __init__(self, optimizers: list[tuple[str, dict[str, Any]]], dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(3)
        shape = len(optimizers), P
        self.weights = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        self.targets = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        self.gradients = torch.zeros_like(self.weights)
        self.optimizers: list[Optimizer] = []
        for model, (name, hparams) in enumerate(optimizers):
            row = self.weights[model].detach().requires_grad_()
            row.grad = self.gradients[model]
            self.optimizers.append(OPTIMIZERS.get(name)([row], hparams))

    def differentiate(self) -> None:
        self.gradients.copy_((self.weights - self.targets).pow(3))

    def train(self, steps: int, together: bool, idle: dict[int, set[int]] | None = None) -> Tensor:
        taking = Steps(self.optimizers, (self.weights, self.gradients) if together else None)
        for step in range(steps):
            self.differentiate()
            taking.prepare((idle or {}).get(step, set()))
            with torch.no_grad():
                taken = [t for t in taking() if t is not None]
                for one in taken:
                    next(one)
                self.differentiate()
                for one in taken:
                    assert next(one, None) is None
        taking.write_states()
        return self.weights


def drawn(names: list[str], each: int = 3) -> list[tuple[str, dict[str, Any]]]:
    """So many of each, in turn, with hyperparameters that do not make these models diverge."""
    found = []
    for i in range(each):
        for name in names:
            space = OPTIMIZERS.get(name).space
            found.append((name, dict(draw(space, each, seed=5)[i]) | {"lr": 10.0 ** -(2 + i)}))
    return found


def both(
    optimizers: list[tuple[str, dict[str, Any]]], dtype: torch.dtype, steps: int
) -> list[Rows]:
    pair = [Rows(optimizers, dtype), Rows(optimizers, dtype)]
    for rows, together in zip(pair, (True, False), strict=True):
        rows.train(steps, together)
        assert rows.weights.isfinite().all()
    return pair


@pytest.mark.parametrize("names", [[n] for n in CASES] + [CASES, ["sam"], ["sam_adam", "sam"]])
def test_it_is_what_torchs_optimizers_do(names: list[str]) -> None:
    one, other = both(drawn(names), torch.float64, steps=300)
    assert (one.weights - other.weights).abs().max() < 1e-12
    for a, b in zip(one.optimizers, other.optimizers, strict=True):
        mine, theirs = a.state_dict()["state"], b.state_dict()["state"]
        assert [s.keys() for s in mine.values()] == [s.keys() for s in theirs.values()]
        for state, expected in zip(mine.values(), theirs.values(), strict=True):
            for name, value in expected.items():
                torch.testing.assert_close(state[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["rmsprop", "adagrad"])
def test_bit_for_bit_where_the_operations_have_one_order(name: str) -> None:
    """In single precision too, against torch's plain loop.

    Not so for SGD, to which torch adds lr times the gradient with one rounding.
    """
    hparams = [h | {"weight_decay": 0.0} for _, h in drawn([name], 4)]
    rows = Rows([(name, h) for h in hparams], torch.float32)
    alone = Rows([(name, h) for h in hparams], torch.float32)
    for optimizer in alone.optimizers:
        for group in optimizer.param_groups:
            group["foreach"], group["fused"] = False, False
    assert torch.equal(rows.train(50, together=True), alone.train(50, together=False))


def test_who_is_left_out_keeps_its_row_and_its_neighbours_do_not_notice() -> None:
    optimizers = drawn([*CASES, "muon", "sam"], 2)
    rows, expected = (Rows(optimizers, torch.float64) for _ in range(2))
    idle = {step: {1, 5} for step in range(20, 40)}
    rows.train(40, True, idle)
    expected.train(40, False, idle)
    assert (rows.weights - expected.weights).abs().max() < 1e-12
    stopped = Rows(optimizers, torch.float64).train(20, False)
    assert (rows.weights - stopped)[[1, 5]].abs().max() < 1e-12


def test_a_state_goes_from_one_way_to_the_other() -> None:
    """20 steps together, then 20 by torch; and the other way round; as 40 by torch."""
    optimizers = drawn([*CASES, "sam"], 2)
    expected = Rows(optimizers, torch.float64)
    expected.train(40, together=False)
    for first in (True, False):
        begun, going_on = (Rows(optimizers, torch.float64) for _ in range(2))
        begun.train(20, together=first)
        going_on.weights.copy_(begun.weights)
        for a, b in zip(going_on.optimizers, begun.optimizers, strict=True):
            a.load_state_dict(copy.deepcopy(b.state_dict()))
        going_on.train(20, together=not first)
        assert (going_on.weights - expected.weights).abs().max() < 1e-12


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, too, steps are taken together."""
    monkeypatch.setattr("oodbench.training.loop.pays", lambda device: True)


ALTERNATIVES = [
    {},
    {"schedule": "cosine", "warmup": 0.2, "clip_norm": 1.0},
    {"algorithm": "irm", "hparams": {"penalty_weight": 50.0, "anneal_fraction": 0.5}},
    {"algorithm": "irm", "algorithm_options": {"restart": "adam"}},
    {"algorithm": "vrex", "algorithm_options": {"restart": "none"}},
    {"hparams": {"linear_steps": 20}},
    {"average": {"ema": 0.9}},
]


@pytest.mark.parametrize("changes", ALTERNATIVES, ids=str)
def test_runs_are_the_same(colored64, monkeypatch, changes: dict[str, Any]) -> None:
    trials = make_trials(30, **changes)
    apart = run_together(trials, colored64)
    monkeypatch.setattr("oodbench.training.loop.pays", lambda device: True)
    run = run_together(trials, colored64)
    assert run.diverged == apart.diverged
    for model in range(len(trials)):
        torch.testing.assert_close(
            parameters(run, model), parameters(apart, model), rtol=1e-8, atol=1e-10
        )


def test_the_size_of_the_stack_does_not_matter(colored32, together: None) -> None:
    trials = make_trials(12, "irm", precision="float32", steps=60, evaluate_every=60)
    stack, alone = run_together(trials, colored32), run_together(trials[8:9], colored32)
    assert torch.equal(parameters(stack, 8), parameters(alone, 0))
