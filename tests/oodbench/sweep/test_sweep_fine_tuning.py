"""Options of fine-tuning in a sweep file: what they become, and what is refused."""

from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import oodbench
from oodbench.errors import RequestError, SweepError
from oodbench.models import MODELS, ModelSpec
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.training.loop import build_module

BASE: dict[str, Any] = {
    "name": "tuned",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd"],
    "model": {"name": "mlp", "width": 8},
    "search": {"trials": 6},
    "train": {"steps": 20, "batch": {"per_environment": 8}, "evaluate_every": 20},
}


def sweep(train: Any = None, **changes: Any) -> dict[str, Any]:
    asked = deepcopy(BASE)
    asked["train"] |= train or {}
    return {**asked, **changes}


def trials_of(asked: dict[str, Any]) -> list[Any]:
    (study,) = plan(asked).studies
    return list(study.trials)


def test_what_is_not_asked_for_is_in_no_trial() -> None:
    for trial in trials_of(sweep()):
        assert set(trial.hparams) == {"lr", "weight_decay"}
        assert "wise_ft" not in trial.to_json()


def test_values_and_ranges_are_drawn_as_hyperparameters() -> None:
    asked = {
        "layer_decay": {"uniform": [0.6, 0.9]},
        "head_lr": 10,
        "no_decay": ["norm", "bias"],
        "freeze": {"choice": ["none", "stem", ["stem", "block 0"]]},
        "linear_steps": {"choice": [0, 5]},
        "linear_lr": {"log": [1e-3, 1e-2]},
        "accumulate": {"choice": [1, 2, 4]},
    }
    trials = trials_of(sweep(asked, search={"trials": 40}))
    values = [dict(trial.hparams) for trial in trials]
    assert all(0.6 <= v["layer_decay"] <= 0.9 for v in values)
    assert len({v["layer_decay"] for v in values}) > 30
    assert {(v["head_lr"], v["no_decay"]) for v in values} == {(10.0, "norm+bias")}
    assert {v["freeze"] for v in values} == {"none", "stem", "stem+block 0"}
    assert {v["linear_steps"] for v in values} == {0, 5}
    assert len({v["linear_lr"] for v in values if 1e-3 <= v["linear_lr"] <= 1e-2}) > 30
    assert {v["accumulate"] for v in values} == {1, 2, 4}


def test_an_option_changes_no_other_draw() -> None:
    plain, tuned = (trials_of(sweep(train)) for train in ({}, {"freeze": {"choice": ["none"]}}))
    for one, other in zip(plain, tuned, strict=True):
        assert {**one.hparams, "freeze": "none"} == dict(other.hparams)
        assert (one.seed, one.id != other.id) == (other.seed, True)


def test_one_optimizer_may_be_tuned_in_its_own_way() -> None:
    optimizers = [{"name": "sgd", "space": {"layer_decay": 0.5, "freeze": ["stem"]}}, "adam"]
    sgd, adam = plan(sweep({"layer_decay": 0.9}, optimizers=optimizers)).studies
    assert {(t.hparams["layer_decay"], t.hparams["freeze"]) for t in sgd.trials} == {(0.5, "stem")}
    assert {t.hparams["layer_decay"] for t in adam.trials} == {0.9}
    assert all("freeze" not in t.hparams for t in adam.trials)


def with_dropout(
    input_shape: tuple[int, ...], num_classes: int, dropout: float, freeze_bn: bool
) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(prod(input_shape), 4)]
    layers += [] if freeze_bn else [nn.BatchNorm1d(4)]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(4, num_classes))


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A model with options that may be drawn, and one of them is to be."""
    options = {"dropout": 0.0, "freeze_bn": True}
    list(MODELS)
    spec = ModelSpec("dropping", with_dropout, options=options)
    monkeypatch.setitem(MODELS._things, spec.name, spec)
    return {"name": spec.name, "freeze_bn": {"choice": [True, False]}}


def test_options_of_a_model_may_be_drawn(dropping: dict[str, Any]) -> None:
    """As hyperparameters; what is not searched is where it was, and a default in no trial."""
    asked = dropping | {"dropout": {"choice": [0, 0.5]}}
    trials = trials_of(sweep(model=asked, search={"trials": 20}))
    values = {(t.hparams["freeze_bn"], t.hparams["dropout"]) for t in trials}
    assert values == {(bn, share) for bn in (True, False) for share in (0.0, 0.5)}
    assert {type(share) for _, share in values} == {float}
    assert not any(t.model_options for t in trials)
    assert len({t.cohort_key for t in trials}) == 4
    plain = trials_of(sweep(model=dropping | {"freeze_bn": False, "dropout": 0.0}))
    assert all("freeze_bn" not in t.hparams for t in plain)
    assert [dict(t.model_options) for t in plain] == [{"freeze_bn": False}] * 6


def test_what_is_drawn_for_a_model_is_what_it_is_built_with(dropping: dict[str, Any]) -> None:
    asked = dropping | {"dropout": {"uniform": [0.1, 0.9]}}
    for trial in trials_of(sweep(model=asked)):
        module = build_module(trial, (2, 8, 8), 2)
        (share,) = [m.p for m in module.modules() if isinstance(m, nn.Dropout)]
        assert share == trial.hparams["dropout"]
        assert (
            any(isinstance(m, nn.BatchNorm1d) for m in module.modules())
            != trial.hparams["freeze_bn"]
        )


def test_mixtures_are_a_field_of_a_trial() -> None:
    trial = trials_of(sweep({"wise_ft": [1, 0, 0.5]}))[0]
    assert trial.wise_ft == (0.0, 0.5, 1.0)
    assert type(trial).from_json(trial.to_json()) == trial


def test_stacks_are_of_trials_whose_parts_are_trained_alike() -> None:
    def keys(train: dict[str, Any]) -> int:
        return len({t.cohort_key for t in trials_of(sweep(train, search={"trials": 12}))})

    assert keys({"layer_decay": {"uniform": [0.5, 0.9]}, "head_lr": {"log": [1, 9]}}) == 1
    assert keys({"freeze": {"choice": ["none", "stem"]}}) == 2
    assert keys({"linear_steps": {"choice": [0, 5, 10]}}) == 3
    assert keys({"linear_steps": 5, "linear_lr": {"log": [1e-3, 1e-1]}}) == 1
    assert keys({"accumulate": {"choice": [1, 2]}}) == 2


MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "layer_decay above 1": (
        {"layer_decay": 1.5},
        {},
        "train.layer_decay: needs a number above 0 and at most 1, but got 1.5",
    ),
    "layer_decay 0": ({"layer_decay": {"uniform": [0, 1]}}, {}, "train.layer_decay: needs"),
    "a negative head_lr": ({"head_lr": -1}, {}, "train.head_lr: needs a number above 0"),
    "a kind that is none": ({"no_decay": "norms"}, {}, "train.no_decay: needs none, or one"),
    "a part that is none": ({"freeze": "stam"}, {}, "train.freeze: needs none, or one"),
    "blocks from last to first": ({"freeze": "blocks 5-2"}, {}, "train.freeze: needs none"),
    "a range of words": ({"freeze": {"log": [1, 2]}}, {}, "train.freeze: needs none"),
    "blocks that are not there": (
        {"freeze": {"choice": ["none", "blocks 3-5"]}},
        {},
        "model mlp: freeze: blocks 3-5 matches no parameter; the model has stem, block 0, head",
    ),
    "a pattern that matches nothing": ({"freeze": "*.norm.*"}, {}, "matches no parameter"),
    "half a step": ({"linear_steps": 2.5}, {}, "train.linear_steps: needs a whole number"),
    "negative steps": ({"linear_steps": -1}, {}, "train.linear_steps: needs a whole number"),
    "as many linear steps as steps": (
        {"linear_steps": {"int": [5, 20]}},
        {},
        "linear_steps: 20 leaves none of the 20 steps",
    ),
    "a share above 1": ({"unfreeze_at": 1.5}, {}, "train.unfreeze_at: needs a step"),
    "two beginnings": ({"unfreeze_at": 0.5, "linear_steps": 3}, {}, "write one"),
    "a negative linear_lr": ({"linear_lr": {"uniform": [-1, 1]}}, {}, "train.linear_lr: needs a"),
    "a rate of no steps": (
        {"linear_lr": 0.1, "linear_steps": 0},
        {},
        "linear_lr is the learning rate of linear steps, but there are none",
    ),
    "no pieces": ({"accumulate": 0}, {}, "train.accumulate: needs a whole number of pieces"),
    "half a piece": ({"accumulate": {"uniform": [1, 2]}}, {}, "train.accumulate: needs a whole"),
    "one draw of too many pieces": (
        {"accumulate": {"choice": [1, 16]}, "batch": {"per_environment": {"choice": [8, 16]}}},
        {},
        "accumulate: 16 asks for more pieces than the 8 examples",
    ),
    "mixtures to draw from": (
        {"wise_ft": {"choice": [0, 0.5]}},
        {},
        "train.wise_ft: lists the mixtures at which every run is scored, so there is nothing to",
    ),
    "too many pieces": ({"accumulate": 9}, {}, "more pieces than the 8 examples"),
    "a share of 2": ({"wise_ft": [0, 2]}, {}, "train.wise_ft.1: needs at most 1, but got 2"),
    "no shares": ({"wise_ft": []}, {}, "train.wise_ft: needs at least one entry"),
    "a model without depth": (
        {"layer_decay": 0.5},
        {"model": "linear"},
        "layer_decay: 0.5 needs a model with parts below its head",
    ),
    "a head on frozen features": (
        {"linear_steps": 5},
        {"model": {"name": "resnet18", "train": "head"}},
        "linear_steps: 5 needs a model with parts below its head",
    ),
    "pieces with BatchNorm": (
        {"accumulate": 2},
        {"model": {"name": "resnet18", "freeze_bn": False}},
        "model with BatchNorm becomes",
    ),
    "pieces in one draw with BatchNorm": (
        {"accumulate": {"choice": [1, 2]}},
        {"model": {"name": "resnet18", "freeze_bn": {"choice": [True, False]}}},
        "model with BatchNorm becomes",
    ),
    "a share of 1 in a range": (
        {},
        {"model": {"name": "resnet18", "dropout": {"uniform": [0, 1]}}},
        "model: model resnet18: dropout must be below 1",
    ),
    "a word in a choice": (
        {},
        {"model": {"name": "resnet18", "freeze_bn": {"choice": [True, "no"]}}},
        "freeze_bn needs a value like True, but got 'no'",
    ),
    "an option that decides the weights": (
        {},
        {"model": {"name": "resnet18", "pretrained": {"choice": [True, False]}}},
        "pretrained cannot be searched; of a model's options, dropout, drop_path, freeze_bn can",
    ),
    "an option that the model lacks": (
        {},
        {"model": {"name": "mlp", "dropout": {"choice": [0, 0.5]}}},
        "model mlp: unknown option 'dropout'",
    ),
    "an optimizer with one rate": (
        {"layer_decay": 0.5},
        {"optimizers": ["sasgd"]},
        "sasgd sets one learning rate for all parameters",
    ),
    "replicas": (
        {"freeze": "stem", "accumulate": 2},
        {"parallel": {"method": "ddp", "replicas": 2}},
        "has replicas, which are trained as a whole; leave out freeze, accumulate, or it",
    ),
    "one optimizer's slip": (
        {},
        {"optimizers": [{"name": "adam", "space": {"layer_decy": 0.7}}]},
        "optimizer adam: unknown hyperparameter 'layer_decy'. Did you mean 'layer_decay'?",
    ),
    "one optimizer's own mistake": (
        {},
        {"optimizers": [{"name": "adam", "space": {"head_lr": "x"}}]},
        "optimizer adam, head_lr: needs a number above 0, but got 'x'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_when_the_file_is_read(name: str) -> None:
    train, changes, told = MISTAKES[name]
    with pytest.raises(SweepError) as caught:
        parse_sweep(sweep(train, **changes))
    assert told in str(caught.value)


def test_epochs_are_compared_once_they_are_counted() -> None:
    asked = sweep({"linear_steps": 10**6, "epochs": 1})
    del asked["train"]["steps"]
    with pytest.raises(RequestError, match="linear_steps: 1000000 leaves none of the"):
        plan(asked)


@pytest.mark.parametrize("name", ["sasgd", "asgd", "muon"])
def test_what_an_optimizer_can_do_is_accepted(name: str) -> None:
    options = {"freeze": "stem"} if name == "sasgd" else {"freeze": "stem", "layer_decay": 0.5}
    parse_sweep(sweep({**options, "linear_steps": 5, "wise_ft": [0.5]}, optimizers=[name]))


def test_a_sweep_is_trained_so_and_can_be_queried(tmp_path: Path) -> None:
    asked = {"freeze": {"choice": ["none", "stem"]}, "linear_steps": 5, "wise_ft": [0, 0.5, 1]}
    db = tmp_path / "tuned.db"
    oodbench.run_sweep(sweep(asked), db, workers=1)
    runs = oodbench.query(db, where="freeze == 'stem'")
    assert 0 < len(runs) < 6
    assert set(runs["status"]) == {"completed"}
    ends = [oodbench.query(db, metric=f"accuracy@wise_ft={share}") for share in ("0", "1")]
    last = oodbench.query(db)
    assert ends[1]["ood"].tolist() == last["ood"].tolist() != ends[0]["ood"].tolist()
