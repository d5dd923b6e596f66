"""Every optimizer of pytorch-optimizer trains, alone and in a stack, or is refused by name."""

from dataclasses import replace

import pytest
import torch
from training_helpers import CPU, make_trials, parameters, run_together

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.pytorch_optimizer import AVERAGES, PREFIX, RANDOM, REFUSED
from oodbench.spaces import Choice
from oodbench.training import Tensors, train
from oodbench.training.fast import products
from oodbench.training.loop import Run
from oodbench.training.outcome import records_of

po = pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is not installed")
ALL = po.get_supported_optimizers()
SUPPORTED = [name for name in ALL if name not in REFUSED]
FLOAT32_ONLY = {"fadam", "flashadamw"}
"""They keep their state in float32, and fail or round in float64."""


def trials_of(name: str, n: int = 2, **changes) -> list:
    settings = {"steps": 12, "evaluate_every": 6, "precision": "float32"} | changes
    drawn = make_trials(n, optimizer="sgd", **settings)
    spec = OPTIMIZERS.get(PREFIX + name)
    values = {n: r.values[0] if isinstance(r, Choice) else r.at(0.5) for n, r in spec.space.items()}
    return [replace(trial, optimizer=spec.name, hparams=values) for trial in drawn]


def test_all_are_accounted_for() -> None:
    assert len(ALL) >= 128
    assert set(REFUSED) <= {*ALL, "sparse_adam"}
    assert set(ALL) >= RANDOM | AVERAGES
    has_eval = {n for n in ALL if callable(getattr(po.load_optimizer(n), "eval", None))}
    assert has_eval == AVERAGES


@pytest.mark.parametrize("name", SUPPORTED)
def test_each_trains(colored32: Tensors, name: str) -> None:
    """It moves, stays finite, keeps to the stack's memory and draws nothing unless it says so."""
    spec, before = OPTIMIZERS.get(PREFIX + name), torch.get_rng_state()
    trials = trials_of(name)
    if spec.stackable:
        run = Run(trials, colored32, CPU)
        start = parameters(run, 0)
        run.train(lambda: None)
        assert not run.broken
        assert not run.diverged
        assert (parameters(run, 0) - start).abs().max() > 0
        records = records_of(run)
    else:
        records = train(trials, colored32)
    assert [r.status for r in records] == ["completed"] * 2, records[0].reason
    assert [r.provenance["stacked"] for r in records] == [spec.stackable] * 2
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [n for n in SUPPORTED if n not in RANDOM | FLOAT32_ONLY])
def test_a_model_in_a_stack_becomes_what_it_becomes_alone(
    colored64: Tensors, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # The plain module's products, too, are torch's: soap and splus jump where these only round.
    monkeypatch.setattr(products, "pays", lambda: False)
    trials = trials_of(name, 2, precision="float64", steps=8, evaluate_every=8)
    stacked = parameters(run_together(trials, colored64), 1)
    alone = parameters(run_together(trials[1:], colored64, stacked=False), 0)
    assert (stacked - alone).abs().max() / max(1.0, alone.abs().max().item()) < 1e-9


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_says_why(name: str) -> None:
    for asked in (name, PREFIX + name):
        with pytest.raises(RequestError, match=f"{asked} is not supported: {REFUSED[name]}"):
            OPTIMIZERS.get(asked)


def test_names() -> None:
    assert OPTIMIZERS.get("adafactor").package == ""  # torch's
    assert OPTIMIZERS.get("pytorch_optimizer.adafactor").package == "pytorch_optimizer"
    with pytest.raises(
        UnknownNameError, match=r"unknown optimizer 'adan'.* 'adam'.*_optimizer.NAME"
    ):
        OPTIMIZERS.get("adan")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'pytorch_optimizer.lion'"):
        OPTIMIZERS.get("pytorch_optimizer.lino")


def test_hyperparameters_are_those_of_the_signature() -> None:
    space = OPTIMIZERS.get("pytorch_optimizer.lion").space
    assert set(space) == {"lr", "beta1", "beta2", "weight_decay", "weight_decouple", "fixed_decay"}
    assert (space["lr"].low, space["lr"].high) == (1e-6, 1e-2)  # around its default of 1e-4
    assert [space[n].values for n in ("beta1", "beta2")] == [(0.9,), (0.99,)]
    parameter = torch.ones(1, requires_grad=True)
    values = {"lr": 0.5, "beta1": 0.1, "beta2": 0.2, "weight_decay": 0.3}
    constants = {"weight_decouple": True, "fixed_decay": False}
    optimizer = OPTIMIZERS.get("pytorch_optimizer.lion")([parameter], values | constants)
    assert optimizer.param_groups[0]["betas"] == (0.1, 0.2)
    parameter.grad = torch.tensor([-3.0])
    optimizer.step()
    assert parameter.item() == pytest.approx(1 - 0.5 * 0.3 + 0.5)  # decay, then the sign times lr


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oodbench.optimizers.spec.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'oodbench\[optimizers\]'"):
        OPTIMIZERS.get("pytorch_optimizer.lion")
