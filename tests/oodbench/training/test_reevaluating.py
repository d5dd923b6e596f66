"""SAM, SA-SGD and SA-SAM through the loop: their cost, their company, the masks that they see."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from training_helpers import CPU, NAMES, make_trials, parameters, run_together, with_dropout

from oodbench.models import MODELS, ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.training import train
from oodbench.training.cohorts import in_stacks
from oodbench.training.loop import Run
from oodbench.training.outcome import records_of

EVALUATIONS = {"sam": 2, "sam_adam": 2, "sasgd": 2, "sasam": 3}
MILD = {"lr": 0.01, "rho": 0.05}


def test_who_takes_several_gradients() -> None:
    assert {
        n: OPTIMIZERS.get(n).evaluations for n in NAMES if n not in EVALUATIONS
    } == dict.fromkeys(set(NAMES) - set(EVALUATIONS), 1)
    assert {n: OPTIMIZERS.get(n).evaluations for n in EVALUATIONS} == EVALUATIONS
    assert {n for n in NAMES if OPTIMIZERS.get(n).sets_lr} == {"sasgd", "sasam"}


@pytest.mark.parametrize("name", ["sgd", *EVALUATIONS])
def test_their_cost_is_counted(colored64, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (trial,) = make_trials(1, optimizer=name, hparams=MILD, steps=10)
    run, calls = Run([trial], colored64, CPU), [0]
    backward = run.models.backward

    def counted(losses: torch.Tensor) -> None:
        calls[0] += 1
        backward(losses)

    monkeypatch.setattr(run.models, "backward", counted)
    run.train(lambda: None)
    assert records_of(run)[0].provenance["gradient_evaluations"] == calls[0]
    assert calls[0] == 10 * EVALUATIONS.get(name, 1)


def test_a_diverged_one_is_charged_for_the_steps_that_it_took(colored64) -> None:
    (trial,) = make_trials(1, optimizer="sam", hparams={"lr": 1e300}, steps=20, evaluate_every=1)
    (record,) = train([trial], colored64)
    step = int(record.reason.split("at step ")[1].split()[0])
    assert record.provenance["gradient_evaluations"] == 2 * step


def test_one_that_is_restarted_as_adam_is_charged_for_each_part(colored64) -> None:
    hparams = {"anneal_fraction": 0.5, "lr": 1e-3, "weight_decay": 0.0, "penalty_weight": 1.0}
    options = {"restart": "adam"}
    (trial,) = make_trials(1, "irm", "sasam", hparams=hparams, steps=10, algorithm_options=options)
    (record,) = train([trial], colored64)
    assert record.provenance["gradient_evaluations"] == 5 * 3 + 5


def test_neighbours_do_not_pay(colored64) -> None:
    """Those that take more gradients a step make a stack of their own."""
    trials = [make_trials(1, optimizer=n, hparams=MILD, steps=4)[0] for n in ("sgd", "sam", "adam")]
    trials = [replace(trial, seed=seed) for seed, trial in enumerate(trials)]
    records = train(trials, colored64)
    assert [r.provenance["stack_size"] for r in records] == [2, 1, 2]
    assert [r.trial for r in records] == trials


def test_nor_do_they_wait_for_a_gpu_with_those_that_do() -> None:
    trials = [make_trials(1, optimizer=n)[0] for n in ("sgd", "asgd", "sam", "adafactor", "adam")]
    stacks = {d: in_stacks(trials, torch.device(d)) for d in ("cpu", "cuda")}
    names = {
        d: [[trial.optimizer for trial in one] for one in found] for d, found in stacks.items()
    }
    assert names["cpu"] == [["sgd", "asgd", "adafactor", "adam"], ["sam"]]
    assert names["cuda"] == [["sgd", "adam"], ["asgd", "adafactor"], ["sam"]]


def test_in_one_stack_they_do_not_disturb_each_other(colored64) -> None:
    trials = [make_trials(1, optimizer=n, hparams=MILD)[0] for n in ("sgd", "sam", "sasam", "adam")]
    stack = run_together(trials, colored64)
    for model, trial in enumerate(trials):
        alone = parameters(run_together([trial], colored64), 0)
        assert torch.equal(parameters(stack, model), alone)


def test_dropout_masks_are_the_same_at_every_point_of_a_step(colored64, plugged_in) -> None:
    """With no radius SAM is its base even under dropout, whose masks go on as the base's do."""
    MODELS.add(ModelSpec("dropping", with_dropout))
    settings = {"model": "dropping", "model_options": {}, "hparams": {"lr": 0.05, "rho": 0.0}}
    (sam,) = make_trials(1, optimizer="sam", **settings)
    shared = {k: v for k, v in sam.hparams.items() if k != "rho"}
    base = replace(sam, optimizer="momentum", hparams=shared)
    one, other = train([sam], colored64), train([base], colored64)
    assert one[0].measurements == other[0].measurements
    seen = []
    (sasam,) = make_trials(1, optimizer="sasam", **settings)
    run: Any = Run([sasam], colored64, CPU, stacked=False)
    forward = run.models._module.forward
    run.models._module.forward = lambda x: seen.append(torch.get_rng_state()) or forward(x)
    run.step(0)
    assert len(seen) == 3
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


@pytest.mark.parametrize("name", ["asgd", "schedule_free_sgd", "schedule_free_adamw"])
def test_averages_are_evaluated_and_kept_but_not_trained_on(colored64, name: str) -> None:
    if name not in NAMES:
        pytest.skip("the package schedulefree is not installed")
    settings = {"optimizer": name, "hparams": {"t0": 1.0}, "steps": 30}
    often = run_together(make_trials(2, **settings, evaluate_every=1), colored64)
    once = run_together(make_trials(2, **settings, evaluate_every=30), colored64)
    for model in range(2):
        assert torch.equal(parameters(often, model), parameters(once, model))
        average = torch.cat([p.flatten() for p in often.weights(model).values()])
        assert (average - parameters(often, model)).abs().max() > 1e-6
    if name == "asgd":
        (state,) = often.optimizers[1].state.values()
        assert torch.equal(average, state["ax"])
