"""Scores of mixtures of a model's first and last weights."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from training_helpers import CPU, make_trials, run_together

from oodbench.records import Measurement, Trial
from oodbench.training import Tensors, train
from oodbench.training.checkpoints import restore, snapshot
from oodbench.training.evaluation import evaluate
from oodbench.training.loop import Run
from oodbench.training.mixtures import metric_of, mixture

STEPS = 20


def mixed(optimizer: str = "momentum", n: int = 1, **changes: Any) -> list[Trial]:
    settings: dict[str, Any] = {"steps": STEPS, "evaluate_every": 10, "wise_ft": (0.0, 0.5, 1.0)}
    hparams = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    return make_trials(n, optimizer=optimizer, hparams=hparams, **{**settings, **changes})


def scores(measured: list[Measurement], metric: str) -> dict[tuple[str, str], float]:
    last = max(m.step for m in measured)
    found = [m for m in measured if m.metric == metric and m.step == last]
    return {(m.role, m.environment): m.value for m in found}


def scores_at_the_start(trial: Trial, data: Tensors) -> dict[tuple[str, str], float]:
    run = Run([trial], data, CPU)
    found = evaluate(run.models, data.evaluation, 1, 0, data.num_classes)
    return scores(found.scores[0], "accuracy")


def test_a_mixture_is_linear_in_the_share() -> None:
    first = {"w": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}
    last = {"w": torch.tensor([3.0, -2.0]), "count": torch.tensor(7)}
    assert mixture(first, last, 0.25)["w"].tolist() == [1.5, 1.0]
    assert mixture(first, last, 0.0)["w"].tolist() == [1.0, 2.0]
    assert mixture(first, last, 1.0)["w"].tolist() == [3.0, -2.0]
    assert mixture(first, last, 0.25)["count"] == 7


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("optimizer", ["momentum", "asgd"])
def test_the_ends_are_the_first_and_the_last_model(
    colored64, optimizer: str, stacked: bool
) -> None:
    """Also of an optimizer that is evaluated at an average."""
    (trial,) = mixed(optimizer)
    run = run_together([trial], colored64, stacked)
    measured = run.measurements[0]
    last = scores(measured, "accuracy")
    assert last
    assert scores(measured, "accuracy@wise_ft=1") == last
    first = scores_at_the_start(trial, colored64)
    assert scores(measured, "accuracy@wise_ft=0") == first != last
    assert {m.step for m in measured if "wise_ft" in m.metric} == {STEPS}


def test_what_lies_between_is_scored_as_that_model(colored64) -> None:
    (trial,) = mixed()
    run = run_together([trial], colored64)
    start = Run([trial], colored64, CPU).models.state(0)
    halfway = Run([trial], colored64, CPU)
    weights = {k: (start[k] + v) / 2 for k, v in run.models.state(0).items()}
    halfway.models.load_state(0, weights)
    found = evaluate(halfway.models, colored64.evaluation, 1, 0, colored64.num_classes)
    expected = scores(found.scores[0], "accuracy")
    assert scores(run.measurements[0], "accuracy@wise_ft=0.5") == expected


def test_after_linear_steps_the_first_weights_are_what_these_left(colored64) -> None:
    (trial,) = mixed()
    tuned = replace(trial, hparams={**trial.hparams, "linear_steps": 10})
    measured = run_together([tuned], colored64).measurements[0]
    before = [m for m in measured if m.step == 10]
    first = scores(measured, "accuracy@wise_ft=0")
    assert first == scores(before, "accuracy") != scores_at_the_start(trial, colored64)


def test_other_scores_and_weights_are_what_they_were(colored64) -> None:
    trials = mixed(n=3)
    plain = [replace(trial, wise_ft=()) for trial in trials]
    found, expected = run_together(trials, colored64), run_together(plain, colored64)
    for model in range(3):
        own = [m for m in found.measurements[model] if "wise_ft" not in m.metric]
        assert own == expected.measurements[model]
        for name, value in expected.models.state(model).items():
            assert torch.equal(found.models.state(model)[name], value)


def test_a_stack_scores_each_models_own_mixtures(colored64) -> None:
    trials = mixed(n=3)
    for trial, record in zip(trials, train(trials, colored64), strict=True):
        (alone,) = train([trial], colored64)
        assert record.measurements == alone.measurements


def test_a_run_that_goes_on_still_knows_its_first_weights(colored64) -> None:
    (trial,) = mixed()
    first = Run([trial], colored64, CPU)

    class StopError(Exception):
        pass

    def tick() -> None:
        if first.done == 7:
            raise StopError

    with pytest.raises(StopError):
        first.train(tick)
    second = Run([trial], colored64, CPU)
    restore(second, snapshot(first))
    second.train(lambda: None)
    assert second.measurements == run_together([trial], colored64).measurements


def test_each_mixture_is_a_metric_of_its_own() -> None:
    assert metric_of(0.25, "accuracy") == "accuracy@wise_ft=0.25"
