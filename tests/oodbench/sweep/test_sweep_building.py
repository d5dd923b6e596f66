"""What can only fail in training is refused when a sweep is read; what can be trained is not."""

from collections.abc import Callable
from typing import Any

import pytest

from oodbench.errors import RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.spaces import Choice, log
from oodbench.sweep import parse_sweep
from oodbench.sweep.building import check_optimizer_builds, corners
from oodbench.sweep.limits import Limit, check_optimizer_space
from oodbench.sweep.plan import plan

Tiny = Callable[..., dict[str, Any]]


def optimizer(name: str, **space: Any) -> dict[str, Any]:
    return {"optimizers": [{"name": name, "space": space}]}


def algorithm(name: str, **space: Any) -> dict[str, Any]:
    return {"algorithms": [{"name": name, "space": space}]}


def batch(size: int, **train: Any) -> dict[str, Any]:
    return {"train": {"steps": 4, "batch": {"per_environment": size}, **train}}


REFUSED = [
    (optimizer("sgd", lr=0.0), "optimizer sgd, lr: needs a number > 0, but got 0.0"),
    (optimizer("sgd", lr={"uniform": [-1, 1]}), "needs a number > 0, but got {'uniform': [-1.0"),
    (optimizer("sgd", lr={"choice": [0.1, -0.1]}), "lr: needs a number > 0"),
    (optimizer("adam", beta1=1), "optimizer adam, beta1: needs a number >= 0 and < 1, but got 1.0"),
    (optimizer("momentum", momentum=3), "momentum: needs a number >= 0 and < 1, but got 3.0"),
    (optimizer("adamw", weight_decay=-1), "weight_decay: needs a number >= 0, but got -1.0"),
    (optimizer("pytorch_optimizer.lion", beta1=5.0), "beta1: needs a number >= 0 and < 1"),
    (
        optimizer("pytorch_optimizer.lion", weight_decouple="no"),
        "weight_decouple: Needed is true or false, but got 'no'",
    ),
    (algorithm("irm", penalty_weight=-1), "penalty_weight: needs a number >= 0, but got -1.0"),
    (algorithm("irm", anneal_fraction=5), "anneal_fraction: needs a number >= 0 and <= 2"),
    (algorithm("group_dro", group_step_size=0), "group_step_size: needs a number > 0"),
    # what the optimizers check themselves
    (optimizer("adafactor", beta2_decay=5.0), "cannot be built with beta2_decay: 5.0, lr: 0.0001"),
    (optimizer("rprop", eta_minus=2.0), "rprop cannot be built with eta_minus: 2.0, eta_plus"),
    ({"parallel": {"method": "ddp", "replicas": 2}, **optimizer("rprop", eta_plus=0.5)}, "ddp(rp"),
    # what no machine holds
    ({"model": {"name": "mlp", "width": 200_000}}, "with width: 200000 has 40,026,400,002 param"),
    ({"model": {"name": "mlp", "width": 2**40}}, "model mlp cannot be built with width: 10995116"),
    ({"model": {"name": "mlp", "depth": 10**9}}, "depth must be at most 1000, but got 1000000000"),
    ({"parallel": {"method": "ddp", "replicas": 10**12}}, "on 1000000000000 replicas, but at most"),
    (batch(10**9), "1,000,000,000 inputs of the shape (2, 8, 8) take 512,000,000,000 bytes"),
    (
        {"model": {"name": "resnet18", "pretrained": False}},
        "model resnet18 needs images (3, height, width)",
    ),
    # what no number can be, and what nobody waits for
    (batch(8, evaluate_every=2**70), "train.evaluate_every: needs a whole number of at most 64 b"),
    ({"seeds": 10**5000}, "seeds: needs a whole number of at most 64 bits, but got one of 16610 b"),
    ({"search": {"trials": 10**15}}, "each study would have 1,000,000,000,000,000 runs"),
    ({"search": {"sampler": "grid", "points": 10**9}}, "search.points: needs at most 100000"),
    ({"train": {**batch(8)["train"], "steps": 10**12}}, "a run has at most 1,000,000,000 steps"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_would_fail_in_training_is_refused(
    tiny: Tiny, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError) as error:
        plan(parse_sweep(tiny(**changes)))
    assert message in str(error.value)


@pytest.mark.parametrize("spec", list(OPTIMIZERS), ids=lambda spec: spec.name)
def test_default_spaces_are_within_limits_and_can_be_built(spec) -> None:
    check_optimizer_space(spec.name, spec.space)
    check_optimizer_builds(spec.name, spec.space)


def test_corners_have_both_ends_of_each_range_and_each_value() -> None:
    space = {"a": log(1, 10), "b": Choice((3, 4, 5)), "c": Choice(("x",))}
    assert corners(space) == [
        {"a": 1.0, "b": 3, "c": "x"},
        {"a": 10.0, "b": 4, "c": "x"},
        {"a": 10.0, "b": 5, "c": "x"},
    ]
    assert corners({}) == [{}]


def test_a_limit_allows_its_closed_ends_alone() -> None:
    half, whole = Limit(0, 1, open=(1,)), Limit(1, whole=True)
    assert [half.allows(x) for x in (-0.1, 0, 0.999, 1, 2, True, "0")] == [
        *(False, True, True, False, False, False, False)
    ]
    assert [whole.allows(x) for x in (0, 1, 1.0, 10**9)] == [False, True, False, True]
    assert str(half) == "a number >= 0 and < 1"
    assert str(whole) == "a whole number >= 1"
    assert str(Limit(0, open=(0,))) == "a number > 0"
