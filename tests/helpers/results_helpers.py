"""Trials, studies and records, made by hand."""

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oodbench.answers import AnswerKey, KeptPredictions, ScoredSplit
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import PlannedStudy

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
