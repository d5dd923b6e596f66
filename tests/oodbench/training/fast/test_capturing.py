"""A step that is recorded once and replayed is, bit for bit, the step that is taken anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from replaying import capture
from torch import Tensor
from training_helpers import CPU, make_trials

from oodbench.records import Trial
from oodbench.training import Tensors
from oodbench.training.fast import capturing
from oodbench.training.loop import Run
from oodbench.training.outcome import provenance

NAMES = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam", "radam", "adamax")
STEPS, HUGE = 40, 1e6


@pytest.fixture(autouse=True)
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """As on a GPU, but that steps are recorded in place of captured; losses of the replayed."""
    replays: list[Tensor] = []

    def noted(update: capturing.Update, given: list[Tensor]) -> Callable[[], Tensor]:
        replay = capture(update, given)
        return lambda: replays.append(replay()) or replays[-1]

    monkeypatch.setattr("oodbench.training.loop.pays", lambda device: True)
    monkeypatch.setattr("oodbench.training.fast.products.pays", lambda: False)
    monkeypatch.setattr(capturing, "capture", noted)
    return replays


def trials_of(algorithm: str, names: tuple[str, ...], **changes: Any) -> list[Trial]:
    """One of each optimizer; ``added`` are hyperparameters of all."""
    settings = {"steps": STEPS, "evaluate_every": 10, "precision": "float32"} | changes
    added = settings.pop("added", {})
    hparams = {"lr": 1e-3, "rho": 0.05, "anneal_fraction": 0.5}
    found = []
    for seed, name in enumerate(names):
        (trial,) = make_trials(1, algorithm, name, hparams=hparams, **settings)
        found.append(replace(trial, seed=seed, hparams={**trial.hparams, **added}))
    return found


def trained(trials: list[Trial], data: Tensors, graphs: bool) -> Run:
    run = Run(trials, data, CPU, graphs=graphs)
    run.train(lambda: None)
    return run


def weights(run: Run) -> Tensor:
    return run.models.vectors()[0].nan_to_num()


@pytest.mark.parametrize(
    ("algorithm", "names", "changes"),
    [
        ("erm", NAMES, {}),
        ("erm", NAMES, {"schedule": "cosine", "warmup": 0.2, "clip_norm": 1.0}),
        ("irm", NAMES, {}),  # its penalties' weights jump, and its optimizers restart
        ("vrex", NAMES, {}),
        ("erm", ("sam", "sam_adam"), {}),
        ("erm", NAMES, {"added": {"linear_steps": 17, "linear_lr": 0.01, "accumulate": 2}}),
        ("erm", NAMES, {"added": {"lr": HUGE}}),  # some diverge, and leave
    ],
)
def test_replays_equal_steps(
    algorithm: str,
    names: tuple[str, ...],
    changes: dict[str, Any],
    colored32: Tensors,
    replayed: list[Tensor],
) -> None:
    trials = trials_of(algorithm, names, **changes)
    plain = trained(trials, colored32, graphs=False)
    assert not replayed
    captured = trained(trials, colored32, graphs=True)
    assert len(replayed) >= STEPS // 2
    assert torch.equal(weights(captured), weights(plain))
    assert captured.measurements == plain.measurements
    assert captured.diverged == plain.diverged
    assert 0 < len(plain.diverged) < len(names) or changes.get("added", {}).get("lr") != HUGE
    assert provenance(captured, 0)["cuda_graphs"]
    assert "cuda_graphs" not in provenance(plain, 0)


def test_what_waits_steps_as_before_and_is_named(
    colored32: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = trials_of("erm", NAMES)
    plain, run = trained(trials, colored32, False), Run(trials, colored32, CPU, graphs=True)
    losses = run.algorithm.losses

    def waiting(forward: Any, inputs: Any, labels: Any, step: Any) -> Tensor:
        return losses(forward, inputs, labels, int(step))

    run.algorithm.losses = waiting
    run.train(lambda: None)
    assert torch.equal(weights(run), weights(plain))
    assert "cuda_graphs" not in provenance(run, 0)
    assert capsys.readouterr().err.startswith("erm, mlp: no CUDA graph: aten._local_scalar_dense")


@pytest.mark.parametrize(("algorithm", "names"), [("group_dro", NAMES), ("erm", ("muon", "adam"))])
def test_these_step_as_before(algorithm: str, names: tuple[str, ...], colored32: Tensors) -> None:
    """An algorithm whose state is made anew in each step, and optimizers that step one by one."""
    trials = trials_of(algorithm, names)
    plain, run = (trained(trials, colored32, graphs) for graphs in (False, True))
    assert torch.equal(weights(run), weights(plain))
    assert "cuda_graphs" not in provenance(run, 0)


def test_a_number_of_the_host_would_stay_as_it_was_captured() -> None:
    """So the tests above can fail."""
    numbers, x = iter(range(10)), torch.ones(2)
    captured = capturing.Captured("x")
    for step in range(6):
        found = captured(lambda a, b, s: a * next(numbers) + s, "key", x * step, x, step)
        assert found.tolist() == [step * min(step, capturing.WARM) + step] * 2
