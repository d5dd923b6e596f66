"""A batch in pieces gives the gradients of the whole one."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import CPU, make_trials, parameters, run_together

from oodbench.algorithms import ALGORITHMS
from oodbench.errors import RequestError
from oodbench.models import MODELS, ModelSpec
from oodbench.records import Trial
from oodbench.training.loop import Run

SETTINGS: dict[str, Any] = {"steps": 10, "evaluate_every": 10}


def trials_of(algorithm: str, n: int, **changes: Any) -> list[Trial]:
    return make_trials(n, algorithm, **{**SETTINGS, **changes})


def divided(trials: list[Trial], pieces: int) -> list[Trial]:
    return [replace(t, hparams={**t.hparams, "accumulate": pieces}) for t in trials]


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("algorithm", [spec.name for spec in ALGORITHMS])
@pytest.mark.parametrize("pieces", [2, 3, 16])
def test_pieces_of_a_batch_are_the_whole_one(
    colored64, algorithm: str, pieces: int, stacked: bool
) -> None:
    """Of every algorithm, also where its loss is no mean over examples; 3 does not divide 16."""
    if ALGORITHMS.get(algorithm).smallest_group and pieces == 3 and not stacked:
        pieces = 5
    hparams = {"lr": 0.01, "penalty_weight": 2.0}
    trials = trials_of(algorithm, 3 if stacked else 1, optimizer="momentum", hparams=hparams)
    whole = run_together(trials, colored64, stacked)
    found = run_together(divided(trials, pieces), colored64, stacked)
    for model in range(len(trials)):
        torch.testing.assert_close(
            parameters(found, model), parameters(whole, model), rtol=1e-10, atol=1e-12
        )
    assert found.measurements[0][:-1] == whole.measurements[0][:-1]


def test_sam_takes_both_of_its_gradients_in_pieces(colored64) -> None:
    trials = trials_of("erm", 2, optimizer="sam")
    whole = run_together(trials, colored64)
    found = run_together(divided(trials, 4), colored64)
    for model in range(2):
        assert (parameters(found, model) - parameters(whole, model)).abs().max() < 1e-10


def test_so_does_a_model_that_is_trained_in_stages(colored64) -> None:
    hparams = {"linear_steps": 4, "layer_decay": 0.5}
    trials = [
        replace(trial, hparams={**trial.hparams, **hparams})
        for trial in trials_of("erm", 2, optimizer="adamw")
    ]
    whole = run_together(trials, colored64)
    found = run_together(divided(trials, 4), colored64)
    for model in range(2):
        assert (parameters(found, model) - parameters(whole, model)).abs().max() < 1e-10


def with_dropout(input_shape: Any, num_classes: int) -> nn.Module:
    size = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(size, 8), nn.Dropout(0.5), nn.Linear(8, num_classes)
    )


def with_batchnorm(input_shape: Any, num_classes: int) -> nn.Module:
    size = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(size, 8), nn.BatchNorm1d(8), nn.Linear(8, num_classes)
    )


@pytest.fixture(autouse=True)
def _plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    list(MODELS)
    for name, build in (("dropping", with_dropout), ("normed", with_batchnorm)):
        monkeypatch.setitem(MODELS._things, name, ModelSpec(name, build))


def test_both_passes_drop_out_the_same_units(colored64) -> None:
    """The gradient of the loss that is given, by finite differences along it."""
    asked: Any = {"model": "dropping", "model_options": {}, "optimizer": "sgd"}
    (trial,) = divided(trials_of("erm", 1, **asked), 4)
    run = Run([trial], colored64, CPU, stacked=False)
    indices = run.batches.at(0)
    inputs, labels = colored64.inputs[indices], colored64.labels[indices]

    def loss() -> float:
        run.models.set_generators(drawn)
        return run.gradients(inputs, labels, 0).item()

    drawn = run.models.generators()
    loss()
    weights, gradient = (rows.clone() for rows in run.models.vectors())
    ends = []
    for sign in (1, -1):
        run.models.set_weights(weights + sign * 1e-5 * gradient)
        ends.append(loss())
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient.square().sum().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "hparams", "told"),
    [
        ({"model": "normed", "model_options": {}}, {}, "BatchNorm"),
        ({"model": "normed", "model_options": {}}, {"linear_steps": 2}, "BatchNorm"),
        ({}, {"accumulate": 17}, "more pieces than the 16 examples"),
        ({"batch": {"size": 8, "environments": 2}}, {"accumulate": 5}, "than the 4 examples"),
    ],
)
def test_what_would_not_be_the_same_is_refused(colored64, changes, hparams, told: str) -> None:
    (trial,) = divided(trials_of("erm", 1, optimizer="sgd", **changes), 2)
    trial = replace(trial, hparams={**trial.hparams, **hparams})
    with pytest.raises(RequestError, match=told):
        Run([trial], colored64, CPU, stacked=False)


def test_batchnorm_that_is_never_trained_is_accepted(colored64) -> None:
    asked: Any = {"model": "normed", "model_options": {}, "optimizer": "sgd"}
    (trial,) = trials_of("erm", 1, **asked)
    frozen = [replace(trial, hparams={**trial.hparams, "freeze": "2.*"})]
    whole, found = (
        run_together(divided(frozen, pieces), colored64, stacked=False) for pieces in (1, 4)
    )
    assert (parameters(found, 0) - parameters(whole, 0)).abs().max() < 1e-10
