"""Trials, studies and records, made by hand."""

import math
import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oodbench.answers import AnswerKey, KeptPredictions, ScoredSplit
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import Database, PlannedStudy, add_sweep, claim, store_runs

WORKERS = 6


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


def make_predictions(number: int = 0, n: int = 12) -> KeptPredictions:
    """What a run predicted, of ten classes: as many wrong as its number says."""
    splits = (ScoredSplit("a", "val", "id_val", 5), ScoredSplit("b", "test", "ood_test", n - 5))
    labels, groups = np.arange(n) % 10, np.full((n, 1), -1)
    key = AnswerKey("digits", splits, labels, np.arange(n) * 3, 10, groups, ("many", "few"))
    predicted = np.where(np.arange(n) < number, (labels + 1) % 10, labels)
    return KeptPredictions(key, {"last": key.pack(predicted)})


TRIALS = [
    make_trial(0, hparams={"zeta": 1e16, "lr": 1e-7, "schedule": "it's 100%"}),
    make_trial(1, hparams={"lr": 0.1, "alpha": -0.0, "nesterov": True}),
    make_trial(2, hparams={"lr": 1 / 3, "k": 3}, optimizer="sgd"),
    make_trial(3, seed=2**62),
    *(make_trial(i) for i in range(4, 8)),
]


def fill(db: Database) -> None:
    """Runs in every state, numbers that are hard to keep, and a lost run."""
    plan = [make_study(TRIALS, "a"), make_study(TRIALS[::2], "b", facts={"chance": 1 / 7})]
    add_sweep(db, "sweep ü", {"z": 1, "a": [1e16, None]}, plan)
    add_sweep(db, "other", {}, [make_study(TRIALS[:1], "c")])
    points = [(50, f"e{i}", "id_val", 1 / (i + 3), 10 + i) for i in range(3)]
    points += [(100, "e0", "id_val", math.nan, 10), (100, "e1", "ood_test", 0.1 + 0.2, 7)]
    claims = claim(db, "worker", size=5, lease=60)
    statuses = ("completed", "completed", "diverged", "failed")
    for item, status in zip(claims, statuses, strict=False):
        reason = "" if status == "completed" else "It did."
        record = make_record(
            item.trial,
            *points,
            status=status,
            reason=reason,
            provenance={"seconds": 1.5, "b": {}, "python": "3.11", "dirty": True},
            predictions=make_predictions(3) if status == "completed" else None,
        )
        assert store_runs(db, [(item, record)]) == []
    claim(db, "dead", size=2, lease=-1)
    claim(db, "next", size=1, lease=60)


def at_once(act: Callable[..., Any], target: str, n: int = WORKERS) -> list[Any]:
    """What ``act(target, number)`` returns in each of ``n`` processes that start together."""
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(n), context.SimpleQueue()

    def run(number: int) -> None:
        start.wait(30)
        try:
            answers.put((number, act(target, number)))
        except BaseException:
            answers.put((number, AssertionError(traceback.format_exc())))

    processes = [context.Process(target=run, args=(number,)) for number in range(n)]
    for process in processes:
        process.start()
    results = dict(answers.get() for _ in processes)
    for process in processes:
        process.join(30)
    for result in results.values():
        if isinstance(result, AssertionError):
            raise result
    return [results[number] for number in range(n)]
