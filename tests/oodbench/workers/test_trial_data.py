"""Trials share their data exactly if what decides them is equal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from oodbench.sweep.plan import plan
from oodbench.workers.trial_data import tensors_for

CPU = torch.device("cpu")


def test_trials_share_tensors_exactly_if_their_data_are_equal(
    tiny: Callable[..., dict[str, Any]],
) -> None:
    trial = plan(tiny(optimizers=["sgd"])).studies[0].trials[0]
    data = tensors_for(trial, CPU)
    same = replace(trial, optimizer="adam", hparams={"lr": 0.5}, algorithm="irm", steps=99, seed=7)
    assert tensors_for(same, CPU) is data
    (tested,) = trial.test_environments
    others = [
        replace(trial, test_environments=(tested + 1,)),
        replace(trial, precision="float64"),
    ]
    for other in others:
        assert tensors_for(other, CPU) is not data
    assert tensors_for(others[1], CPU).inputs.dtype == torch.float64
    assert tensors_for(trial, CPU) is data
