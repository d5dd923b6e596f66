"""Schedules, clipping and averaged weights are torch's own, for each of K models."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn
from training_helpers import CPU, NAMES, make_trials, parameters, run_together

from oodbench.optimizers import OPTIMIZERS
from oodbench.training.loop import Run
from oodbench.training.schedule import factor

STEPS = 40
Scheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def learning_rates(scheduler: Scheduler, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, rates = scheduler(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("constant", lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
        ("linear", lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=STEPS)),
        ("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS)),
        ("step", lambda o: lr_scheduler.MultiStepLR(o, [STEPS // 2, STEPS * 3 // 4])),
    ],
)
def test_schedules_are_torchs(name: str, scheduler: Scheduler) -> None:
    expected = learning_rates(scheduler, STEPS)
    found = [factor(name, 0.0, step, STEPS) for step in range(STEPS)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_warm_up_comes_first() -> None:
    def scheduler(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / 8, total_iters=7)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 8)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[8])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR itself calls what torch deprecates
        expected = learning_rates(scheduler, STEPS)
    found = [factor("cosine", 0.2, step, STEPS) for step in range(STEPS)]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if not OPTIMIZERS.get(n).sets_lr])
def test_every_learning_rate_follows(colored64, name: str) -> None:
    (trial,) = make_trials(1, optimizer=name, steps=8, schedule="linear", warmup=0.25)
    run = Run([trial], colored64, CPU)
    for step in range(8):
        run.step(step)
        for group in run.optimizers[0].param_groups:
            own = "adamw_lr" if group.get("hidden") is False else "lr"  # Muon's has two
            expected = trial.hparams[own] * factor("linear", 0.25, step, 8)
            assert group["lr"] == pytest.approx(expected)


def test_a_schedule_reaches_the_steps(colored64) -> None:
    """SGD's steps are proportional to its learning rate: at a third of it, a third as long."""
    (trial,) = make_trials(1, optimizer="sgd", steps=4, warmup=0.75)
    (plain,) = make_trials(1, optimizer="sgd", steps=4)
    runs = [Run([t], colored64, CPU) for t in (trial, plain)]
    moves = []
    for run in runs:
        before = parameters(run, 0)
        run.step(0)
        moves.append(parameters(run, 0) - before)
    torch.testing.assert_close(3 * moves[0], moves[1], rtol=1e-9, atol=1e-12)


def test_it_goes_on_over_a_restart(colored64) -> None:
    hparams = {"anneal_fraction": 0.5}
    (trial,) = make_trials(1, "irm", "sgd", hparams=hparams, steps=10, schedule="linear")
    run = run_together([trial], colored64)
    (group,) = run.optimizers[0].param_groups
    assert group["lr"] == pytest.approx(0.1 * trial.hparams["lr"])


@pytest.mark.parametrize("stacked", [True, False])
def test_clipping_is_torchs_for_each_model(colored64, stacked: bool) -> None:
    trials = make_trials(3 if stacked else 1, optimizer="sgd", clip_norm=0.1, steps=1)
    run = Run(trials, colored64, CPU, stacked=stacked)
    free = Run(make_trials(len(trials), optimizer="sgd", steps=1), colored64, CPU, stacked=stacked)
    for one in (run, free):
        one.step(0)
    for model in range(len(trials)):
        clipped, expected = (
            [p.grad.clone() for p in one.optimizers[model].param_groups[0]["params"]]
            for one in (run, free)
        )
        fakes = [torch.zeros_like(g).requires_grad_() for g in expected]
        for fake, grad in zip(fakes, expected, strict=True):
            fake.grad = grad
        norm = torch.nn.utils.clip_grad_norm_(fakes, 0.1)
        assert norm > 0.1
        for found, fake in zip(clipped, fakes, strict=True):
            torch.testing.assert_close(found, fake.grad)


def test_short_gradients_are_not_clipped(colored64) -> None:
    long, plain = make_trials(1, clip_norm=1e6), make_trials(1)
    one, other = (parameters(run_together(t, colored64), 0) for t in (long, plain))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    "regime", [{"clip_norm": 0.5}, {"schedule": "cosine"}, {"average": {"ema": 0.9}}]
)
def test_in_float32_the_size_of_the_stack_does_not_matter(colored32, regime: dict) -> None:
    settings = {"precision": "float32", "optimizer": "momentum", **regime}
    trials = make_trials(5, **settings)
    stack, alone = run_together(trials, colored32), run_together(trials[3:4], colored32)
    assert torch.equal(parameters(stack, 3), parameters(alone, 0))
    assert stack.measurements[3] == alone.measurements[0]


def averaged(data, average: dict, stacked: bool, evaluate_every: int = 20):
    settings = {"optimizer": "adam", "steps": 20, "evaluate_every": evaluate_every}
    trials = make_trials(2 if stacked else 1, **settings, average=average)
    return run_together(trials, data, stacked)


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("average", [{"ema": 0.8}, {"swa": 0.25}, {"swa": 0.0}])
def test_averages_are_torchs(colored64, average: dict, stacked: bool) -> None:
    run = averaged(colored64, average, stacked)
    ema = "ema" in average
    function = get_ema_multi_avg_fn(0.8) if ema else get_swa_multi_avg_fn()
    trials = make_trials(run.k, optimizer="adam", steps=20)
    single: Any = Run(trials[-1:], colored64, CPU, stacked=False)
    mirror = AveragedModel(single.models._module, multi_avg_fn=function)
    for step in range(20):
        single.step(step)
        if ema or step >= average["swa"] * 20:
            mirror.update_parameters(single.models._module)
    expected = torch.cat([p.flatten() for p in mirror.module.parameters()]).detach()
    found = torch.cat([p.flatten() for p in run.weights(run.k - 1).values()])
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)  # its counter is in float32
    torch.testing.assert_close(  # what is trained is not the average
        parameters(run, run.k - 1), parameters(single, 0), rtol=1e-9, atol=1e-11
    )
    assert (found - parameters(run, run.k - 1)).abs().max() > 1e-4


def test_averages_are_evaluated_and_evaluating_changes_nothing(colored64) -> None:
    often = averaged(colored64, {"ema": 0.9}, stacked=True, evaluate_every=1)
    once = averaged(colored64, {"ema": 0.9}, stacked=True)
    assert torch.equal(parameters(often, 1), parameters(once, 1))
    assert torch.equal(often.weights(1)["1.weight"], once.weights(1)["1.weight"])
    (plain,) = make_trials(1, optimizer="adam", steps=20, evaluate_every=20)
    scores = [
        [m.value for m in run.measurements[0] if m.metric == "accuracy"]
        for run in (once, run_together([plain], colored64))
    ]
    assert scores[0] != scores[1]


def test_before_its_start_swa_is_the_model_itself(colored64) -> None:
    run = averaged(colored64, {"swa": 0.99}, stacked=True)  # it starts with the last step
    late = torch.cat([p.flatten() for p in run.weights(0).values()])
    assert torch.equal(late, parameters(run, 0))
