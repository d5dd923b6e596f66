"""ERM++ by our options is DomainBed's (commit b93c22a), where there is no BatchNorm."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_helpers import CPU, make_trials, run_together

from oodbench.sweep import load_sweeps
from oodbench.training.loop import Run, build_module

STEPS, LINEAR, START = 20, 7, 12
RECIPE = Path(__file__).parents[3] / "sweeps" / "domainbed_head.yaml"


class ErmPlusPlus:
    """Its ``ERMPlusPlus`` and ``ErmPlusPlusMovingAvg``, without LARS and BatchNorm.

    Args:
        network: A chain of layers, the last being the head.
        hparams: ``lr``, ``linear_lr``, ``linear_steps``, ``weight_decay``.
        start: Its ``sma_start_iter``, which is 600 there.
    """

    def __init__(self, network: nn.Sequential, hparams: dict[str, Any], start: int) -> None:
        self.network, self.network_sma = network, copy.deepcopy(network)
        self.linear_steps, self.start = hparams["linear_steps"], start
        decay = hparams["weight_decay"]
        head = list(network[-1].parameters())
        self.optimizer = torch.optim.Adam(network.parameters(), hparams["lr"], weight_decay=decay)
        self.linear_optimizer = torch.optim.Adam(head, hparams["linear_lr"], weight_decay=decay)
        self.global_iter = self.sma_count = 0

    def update(self, x: Tensor, y: Tensor) -> None:
        selected = self.optimizer if self.global_iter > self.linear_steps else self.linear_optimizer
        loss = nn.functional.cross_entropy(self.network(x), y)
        selected.zero_grad()
        loss.backward()
        selected.step()
        self.update_sma()

    def update_sma(self) -> None:
        self.global_iter += 1
        theirs, mean = self.network.state_dict(), self.network_sma.state_dict()
        if self.global_iter >= self.start:
            self.sma_count += 1
            theirs = {
                name: (mean[name] * self.sma_count + value) / (1.0 + self.sma_count)
                for name, value in theirs.items()
            }
        self.network_sma.load_state_dict(theirs)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_run_is_domainbeds(colored64, stacked: bool) -> None:
    own = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
    rates = {"lr": 0.003, "linear_lr": 0.02}
    average = {"swa": (START - 2) / STEPS}
    (trial,) = make_trials(1, optimizer="adam", steps=STEPS, evaluate_every=STEPS, average=average)
    trial = replace(trial, hparams={**own, **rates, "linear_steps": LINEAR + 1})
    network = build_module(trial, colored64.shape, colored64.num_classes).double()
    assert isinstance(network, nn.Sequential)
    theirs = ErmPlusPlus(network, {**own, **rates, "linear_steps": LINEAR}, START)
    batches = Run([trial], colored64, CPU).batches
    for step in range(STEPS):
        rows = batches.at(step)[0].flatten()
        theirs.update(colored64.inputs[rows], colored64.labels[rows])
    run = run_together([trial], colored64, stacked)
    found, expected = run.weights(0), theirs.network_sma.state_dict()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)


def test_the_recipe_has_its_numbers() -> None:
    """Its ``linear_steps`` 500, compared with >, and ``sma_start_iter`` 600."""
    erm, plus = load_sweeps(RECIPE)
    steps, swa = plus.train.steps, plus.train.average
    assert steps == 5001 == erm.train.steps
    assert swa is not None
    assert swa.swa is not None
    assert plus.train.linear_steps == 500 + 1
    assert round(swa.swa * steps) == 600 - 2
    (rate,) = (entry.space["lr"] for entry in plus.optimizers)
    assert plus.train.linear_lr == rate == {"log": [1e-5, pytest.approx(10**-3.5, rel=1e-3)]}
