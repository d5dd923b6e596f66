"""Trials of every optimizer, small enough to train by the dozen."""

from itertools import cycle, islice
from typing import Any

import torch
from torch import nn

from oodbench.algorithms import ALGORITHMS
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.sweep.search import draw
from oodbench.training import Tensors
from oodbench.training.loop import Run

CPU = torch.device("cpu")
NAMES = [spec.name for spec in OPTIMIZERS if spec.installed]


def make_trials(
    n: int, algorithm: str = "erm", optimizer: str | None = None, **changes: Any
) -> list[Trial]:
    """``n`` trials, of all optimizers in turn unless one is named, each with its own seed."""
    names = [optimizer] if optimizer else NAMES
    hparams = changes.pop("hparams", {})
    trials = []
    for seed, name in enumerate(islice(cycle(names), n)):
        space = {**OPTIMIZERS.get(name).space, **ALGORITHMS.get(algorithm).space}
        values = draw(space, seed + 1, seed=7)[-1] | {
            k: v for k, v in hparams.items() if k in space
        }
        settings: dict[str, Any] = {
            "dataset": "ColoredDigits",
            "fingerprint": "x",
            "test_environments": (2,),
            "model": "mlp",
            "algorithm": algorithm,
            "optimizer": name,
            "hparams": values,
            "steps": 50,
            "batch": {"per_environment": 16},
            "evaluate_every": 50,
            "seed": seed,
            "model_options": {"width": 16},
            "precision": "float64",
        }
        trials.append(Trial(**(settings | changes)))
    return trials


def run_together(trials: list[Trial], data: Tensors, stacked: bool = True) -> Run:
    run = Run(trials, data, CPU, stacked)
    run.train(lambda: None)
    assert not run.broken
    return run


def with_dropout(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    sizes = (input_shape[0] * input_shape[1] * input_shape[2], num_classes)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(*sizes))


def parameters(run: Run, model: int) -> torch.Tensor:
    return torch.cat([value.flatten() for value in run.models.state(model).values()])
