"""Trials, studies and records, made by hand."""

from collections.abc import Sequence
from typing import Any

from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import PlannedStudy


def make_trial(number: int = 0, **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "dataset": "Digits",
        "fingerprint": "f00d",
        "test_environments": (2,),
        "model": "mlp",
        "algorithm": "erm",
        "optimizer": "adam",
        "hparams": {"lr": 0.001 * (number + 1), "nesterov": number % 2 == 0},
        "steps": 100,
        "batch": {"per_environment": 8},
        "evaluate_every": 50,
        "seed": number,
    }
    return Trial(**{**values, **changes})


def make_study(trials: Sequence[Trial], name: str = "study", **changes: Any) -> PlannedStudy:
    first = trials[0]
    values: dict[str, Any] = {
        "id": name,
        "dataset": first.dataset,
        "test_environments": first.test_environments,
        "algorithm": first.algorithm,
        "optimizer": first.optimizer,
        "definition": {"trials": len(trials)},
        "space": {"lr": {"log": [1e-4, 1.0]}},
        "sampler": "random",
        "sampler_seed": 0,
        "facts": {"optimizer_kind": "adaptive", "chance": 0.1, "shift": "correlation"},
        "trials": trials,
    }
    return PlannedStudy(**{**values, **changes})


def make_record(trial: Trial, *points: tuple[int, str, str, float, int], **more: Any) -> RunRecord:
    """A completed run; each point is (step, environment, role, accuracy, n)."""
    split = {"id_val": "val", "ood_val": "val", "oracle_val": "val", "train": "train"}
    measurements = tuple(
        Measurement(step, environment, split.get(role, "test"), role, "accuracy", value, n)
        for step, environment, role, value, n in points
    )
    return RunRecord(trial, more.pop("status", "completed"), measurements=measurements, **more)
