"""A trial's identity, and what it leaves out."""

import hashlib
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from oodbench.records import Trial

VALUES: dict[str, Any] = {
    "dataset": "ColoredDigits",
    "fingerprint": "f00d",
    "test_environments": (2,),
    "model": "mlp",
    "algorithm": "erm",
    "optimizer": "sgd",
    "hparams": {"weight_decay": 1e-06, "lr": 0.1},
    "steps": 100,
    "batch": {"per_environment": 8},
    "evaluate_every": 50,
    "seed": 7,
}
OTHER: dict[str, Any] = {
    "dataset": "RotatedDigits",
    "fingerprint": "beef",
    "test_environments": (1,),
    "model": "cnn",
    "algorithm": "irm",
    "optimizer": "adam",
    "hparams": {"lr": 0.2},
    "steps": 101,
    "batch": {"size": 8},
    "evaluate_every": 49,
    "seed": 8,
    "data_seed": 1,
    "dataset_options": {"renders": 2},
    "model_options": {"width": 8},
    "algorithm_options": {"restart": "none"},
    "pretrained": "ab",
    "precision": "float64",
    "parallel": "ddp",
    "replicas": 2,
    "protocol": "another",
}


def make(**changes: Any) -> Trial:
    return Trial(**{**VALUES, **changes})


def test_an_id_is_the_hash_of_the_canonical_json_written_by_hand() -> None:
    """Whoever changes this changes the id of every stored run."""
    text = (
        '{"algorithm":"erm","batch":{"per_environment":8},"dataset":"ColoredDigits",'
        '"evaluate_every":50,"fingerprint":"f00d","hparams":{"lr":0.1,"weight_decay":1e-06},'
        '"model":"mlp","optimizer":"sgd","protocol":"2","seed":7,"steps":100,'
        '"test_environments":[2]}'
    )
    assert make().id == hashlib.sha256(text.encode()).hexdigest()[:16] == "dbe3aaa3ce2ecbcc"


def test_equal_trials_are_the_same_run() -> None:
    one, two = (
        make(),
        make(hparams={"lr": 0.1, "weight_decay": 1e-06}, data_seed=0, precision="float32"),
    )
    assert one == two
    assert one.id == two.id
    assert len({one, two}) == 1


@pytest.mark.parametrize("field", OTHER)
def test_every_field_decides(field: str) -> None:
    changed = make(**{field: OTHER[field]})
    assert changed != make()
    assert changed.id != make().id
    assert (changed.config_id == make().config_id) == (field == "seed")
    free = field in ("optimizer", "hparams", "seed")
    assert (changed.cohort_key == make().cohort_key) == free


def test_trials_are_equal_only_if_their_ids_are() -> None:
    """1 and 1.0 are equal to Python, but not in JSON; spaces coerce before a trial is made."""
    one, two = make(hparams={"lr": 1}), make(hparams={"lr": 1.0})
    assert (one == two) == (one.id == two.id)


def test_a_trial_cannot_be_changed() -> None:
    given = {"lr": 0.1}
    trial = make(hparams=given)
    given["lr"] = 0.2
    assert trial.hparams["lr"] == 0.1
    with pytest.raises(TypeError):
        trial.hparams["lr"] = 0.2  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        trial.steps = 3  # type: ignore[misc]


def test_json_and_pickle_give_the_trial_back() -> None:
    trial = make(**OTHER)
    assert Trial.from_json(trial.to_json()) == trial
    back = pickle.loads(pickle.dumps(trial))
    assert back == trial
    assert {name: getattr(back, name) for name in OTHER} == OTHER


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (100, 50, (50, 100)),
        (100, 40, (40, 80, 100)),
        (100, 100, (100,)),
        (100, 300, (100,)),
        (3, 1, (1, 2, 3)),
        (1, 1, (1,)),
    ],
)
def test_the_last_step_is_always_evaluated_and_none_twice(
    steps: int, every: int, expected: tuple[int, ...]
) -> None:
    assert make(steps=steps, evaluate_every=every).evaluation_steps == expected
