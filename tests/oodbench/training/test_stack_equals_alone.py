"""What a model in a stack becomes equals what it becomes alone, and nothing else decides it."""

from dataclasses import replace

import pytest
import torch
from training_helpers import CPU, NAMES, make_trials, parameters, run_together

from oodbench.algorithms import ALGORITHMS
from oodbench.records import Trial
from oodbench.registry import Registry
from oodbench.training import loop, stack, train
from oodbench.training.loop import Run


def with_one_that_diverges(trials: list[Trial], at: int) -> list[Trial]:
    wild = dict(trials[at].hparams) | {"lr": 1e300}
    return [replace(t, hparams=wild) if i == at else t for i, t in enumerate(trials)]


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.slow
def test_stack_of_64_equals_64_alone(colored64, algorithm: str) -> None:
    wild = len(NAMES)
    trials = with_one_that_diverges(make_trials(64, algorithm), at=wild)
    assert trials[wild].optimizer == "sgd"
    stack = run_together(trials, colored64)
    assert set(stack.diverged) == {wild}
    for model, trial in enumerate(trials):
        alone = run_together([trial], colored64, stacked=False)
        assert alone.diverged == ({0: stack.diverged[wild]} if model == wild else {})
        if model != wild:
            expected = parameters(alone, 0)
            difference = (parameters(stack, model) - expected).abs().max()
            scale = max(1.0, expected.abs().max().item())  # one IRM run grows to 1e7, yet is finite
            assert difference / scale < 1e-10, trial.optimizer
            assert alone.measurements[0][:-1] == stack.measurements[model][:-1]


@pytest.mark.parametrize("algorithm", ["vrex", "group_dro", "coral"])
def test_the_state_of_an_algorithm_is_each_models_own(colored64, algorithm: str) -> None:
    hparams = {"lr": 0.01, "penalty_weight": 2.0}
    trials = make_trials(7, algorithm, hparams=hparams, label_smoothing=0.1)
    stack = run_together(trials, colored64)
    for model, trial in enumerate(trials):
        alone = run_together([trial], colored64, stacked=False)
        torch.testing.assert_close(
            parameters(stack, model), parameters(alone, 0), rtol=1e-8, atol=1e-10
        )
        for name, value in alone.algorithm.state.items():
            torch.testing.assert_close(stack.algorithm.state[name][model], value[0])


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
def test_one_step_in_float32(colored32, algorithm: str) -> None:
    trials = make_trials(12, algorithm, precision="float32", steps=1, evaluate_every=1)
    stack = run_together(trials, colored32)
    for model, trial in enumerate(trials):
        alone = parameters(run_together([trial], colored32, stacked=False), 0)
        torch.testing.assert_close(parameters(stack, model), alone, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("of_a_seed", [1, 3])
def test_in_float32_too_the_size_of_the_stack_does_not_matter(
    colored32, algorithm, k, of_a_seed
) -> None:
    trials = make_trials(12, algorithm, precision="float32", steps=150, evaluate_every=150)
    trials = [replace(trial, seed=i // of_a_seed) for i, trial in enumerate(trials)]
    stack = run_together(trials, colored32)
    smaller = run_together(trials[6 : 6 + k], colored32)
    for model in range(k):
        assert smaller.measurements[model] == stack.measurements[6 + model]
        assert torch.equal(parameters(smaller, model), parameters(stack, 6 + model))


def test_the_neighbours_of_a_diverging_model_never_notice(colored32) -> None:
    trials = make_trials(6, precision="float32")
    wild = with_one_that_diverges(trials, at=0)
    # In float32 too: an infinity or NaN of one model must not leak into the others' arithmetic.
    wild[0] = replace(wild[0], hparams=dict(wild[0].hparams) | {"lr": 1e30})
    with_it, without = run_together(wild, colored32), run_together(trials, colored32)
    assert set(with_it.diverged) == {0}
    assert not without.diverged
    for model in range(1, 6):
        assert torch.equal(parameters(with_it, model), parameters(without, model))


def test_a_diverged_record_says_when_and_keeps_what_it_measured_before(colored64) -> None:
    trials = make_trials(2, optimizer="sgd", evaluate_every=1, steps=20)
    trials = with_one_that_diverges(trials, at=1)
    fine, wild = train(trials, colored64)
    assert (fine.status, wild.status) == ("completed", "diverged")
    first = int(wild.reason.split("at step ")[1].split()[0])
    assert 1 < first < 20
    assert {m.step for m in wild.measurements} == set(range(1, first))
    assert wild.provenance["gradient_evaluations"] == first


def test_order_and_company_do_not_matter(colored64) -> None:
    trials = make_trials(6)
    forwards = run_together(trials, colored64)
    backwards = run_together(trials[::-1], colored64)
    for model in range(6):
        a, b = parameters(forwards, model), parameters(backwards, 5 - model)
        assert (a - b).abs().max() < 1e-12


def test_evaluation_does_not_change_what_is_trained(colored64) -> None:
    often = run_together(make_trials(6, evaluate_every=7), colored64)
    once = run_together(make_trials(6, evaluate_every=50), colored64)
    for model in range(6):
        assert torch.equal(parameters(often, model), parameters(once, model))
    steps = {m.step for m in often.measurements[0]}
    assert steps == {7, 14, 21, 28, 35, 42, 49, 50}


def test_equal_seeds_share_initialisation_and_batches_across_optimizers(colored64) -> None:
    adam, sgd = (make_trials(1, optimizer=name)[0] for name in ("adam", "sgd"))
    run = Run([adam, sgd], colored64, CPU)
    assert torch.equal(parameters(run, 0), parameters(run, 1))
    assert len(run.batches.at(3)) == 1
    alone = Run([sgd], colored64, CPU)
    assert torch.equal(run.batches.at(3), alone.batches.at(3))


@pytest.mark.parametrize("stacked_by", ["batched layers", "vmap"])
@pytest.mark.parametrize("hands_on", [True, False])
@pytest.mark.parametrize("algorithm", ["erm", "coral"])
def test_models_that_share_their_batches_become_what_each_does_alone(
    colored64, algorithm: str, hands_on: bool, stacked_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stacked_by == "vmap":
        monkeypatch.setattr(stack, "batched_forward", lambda *_: None)
    if not hands_on:  # one that may change its inputs gets them for each model
        spec = replace(ALGORITHMS.get(algorithm), hands_on=False)
        monkeypatch.setattr(loop, "ALGORITHMS", Registry("algorithm", [spec]))
    seeds = [5, 5, 5, 0, 7, 7, 5]
    trials = [
        replace(trial, seed=seed, steps=20, evaluate_every=20)
        for trial, seed in zip(make_trials(len(seeds), algorithm), seeds, strict=True)
    ]
    together = run_together(trials, colored64)
    assert len(together.batches.at(0)) == 4, "equal neighbours share one batch"
    for model, trial in enumerate(trials):
        alone = run_together([trial], colored64, stacked=False)
        difference = parameters(together, model) - parameters(alone, 0)
        assert difference.abs().max() < 1e-10, trial.optimizer


def test_training_leaves_the_global_generator_alone(colored64) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(make_trials(2, steps=2), colored64)
    assert torch.equal(torch.get_rng_state(), before)


def test_trials_of_different_shapes_are_refused(colored64) -> None:
    trials = [*make_trials(1), *make_trials(1, steps=40)]
    with pytest.raises(ValueError, match="one cohort key"):
        train(trials, colored64)
