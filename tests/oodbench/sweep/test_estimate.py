"""What a sweep would take, against sums by hand."""

from typing import Any

import pytest

from oodbench.sweep import parse_sweep
from oodbench.sweep.estimate import Estimate, estimate, on_replicas

SWEEP: dict[str, Any] = {
    "name": "s",
    "datasets": [{"name": "ColoredMNIST", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "sam"],
    "model": {"name": "mnist_cnn"},
    "search": {"trials": 3},
    "train": {"steps": 10, "batch": {"per_environment": 8}, "evaluate_every": 5},
    "rate": {"examples_per_second": 100, "source": "by hand"},
}


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OODBENCH_DATA", raising=False)


def of(**changes: Any) -> Estimate:
    (found,) = estimate(parse_sweep({**SWEEP, **changes}))
    return found


def test_by_hand() -> None:
    """SGD sees 10 x 8 x 2 examples, SAM twice that. Both are scored twice on one environment and
    on two fifths of two, of 70,000 / 3 each, at a third of the cost."""
    scored = 2 * (1 + 2 * 0.4) * 70000 / 3 / 3
    found = of()
    assert (found.studies, found.models) == (2, 6)
    assert found.seconds == pytest.approx(3 * (160 + scored + 320 + scored) / 100)
    assert found.database == 6 * (2200 + 100 * 2 * (2 * 3 + 1))
    assert (found.cache, found.partly) == (0, False)


def test_batches_that_are_searched_count_with_their_mean_and_pooled_ones_once() -> None:
    train = {**SWEEP["train"], "batch": {"size": {"choice": [8, 64]}}}
    more = of(train=train, optimizers=["sgd"]).seconds - of(optimizers=["sgd"]).seconds
    assert more == pytest.approx(3 * 10 * (36 - 16) / 100)


def test_mixtures_of_weights_are_scored_as_checkpoints_are() -> None:
    """At the end of a run, once each: as if it were evaluated three times more."""
    train = {**SWEEP["train"], "wise_ft": [0, 0.5, 1, 1]}
    plain, mixed = of(), of(train=train)
    assert mixed.seconds - plain.seconds == pytest.approx(6 * 3 * 1.8 * 70000 / 3 / 3 / 100)
    assert mixed.database - plain.database == 6 * 100 * 3 * (2 * 3 + 1)


@pytest.mark.parametrize(
    ("changes", "models"),
    [
        ({"seeds": 4}, 24),
        ({"confirm": {"top": 2, "seeds": 5}}, 6 + 20),
        ({"search": {"sampler": "tpe", "trials": 30}}, 60),
        ({"search": {"sampler": "grid", "points": 2}, "optimizers": ["sgd"]}, 4),
        ({"datasets": [{"name": "ColoredMNIST", "test_environments": "each"}]}, 18),
    ],
)
def test_models(changes: dict[str, Any], models: int) -> None:
    assert of(**changes).models == models


def test_what_is_not_known_is_said() -> None:
    assert of(rate=None).seconds is None
    train = {"epochs": 2, "batch": {"per_environment": 8}}
    assert of(train=train).seconds is None
    resnet = {"model": {"name": "resnet18", "pretrained": False}}
    pacs = {"name": "PACS", "test_environments": [0]}
    assert of(**resnet, datasets=[pacs]).cache == 9991 * 3 * 224 * 224
    assert of(**resnet, datasets=[{**pacs, "size": 64}]).cache == 9991 * 3 * 64 * 64
    assert of(**resnet, datasets=[{"name": "SVIRO", "test_environments": [0]}]).cache is None
    backgrounds = {"name": "BackgroundsChallenge", "test_environments": [2]}
    wilds = {"name": "Camelyon17"}  # its environments are in files, which are not here
    found = of(**resnet, datasets=[wilds])
    assert (found.models, found.seconds, found.cache) == (6, None, None)
    digits = {"name": "RotatedDigits", "test_environments": [0]}
    assert of(datasets=[digits]).seconds is None  # how many are rendered is an option
    found = of(**resnet, datasets=[backgrounds])
    assert (found.cache, found.partly) == (32400 * 3 * 224 * 224, True)


def test_models_on_replicas_are_counted_by_how_many_they_have() -> None:
    """SGD and SAM, on two datasets: 3 trials of each method, and its best again on 2 seeds."""
    assert on_replicas(parse_sweep(SWEEP)) == {}
    methods = [
        "none",
        {"method": "ddp", "replicas": 4},
        {"method": "local_sgd", "replicas": 4},
        {"method": "local_sgd", "replicas": 2},
    ]
    datasets = [{"name": name, "test_environments": [0]} for name in ("ColoredMNIST", "PACS")]
    changes = {"parallel": methods, "datasets": datasets, "confirm": {"top": 1, "seeds": 2}}
    assert on_replicas(parse_sweep({**SWEEP, **changes})) == {2: 2 * 2 * 5, 4: 2 * 2 * 2 * 5}
