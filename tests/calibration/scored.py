"""Simulated runs scored on finitely many examples, as the product gets them.

What makes an example hard is shared by all runs, more so by those of one kind of optimizer, and by
the views of an example in several environments. For a run of skill s it is classified correctly if
s + hardness + the run's own noise is above 0; the variances of the last two add up to 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.results.predictions import Predictions

from .studies import CHANCE, KINDS, Array, Design, Runs

HARDNESS = 0.6
"""Share of the variance that an example has with all runs, or with those of a kind."""

VIEWS = 0.7
"""Correlation of an example's hardness between environments."""

CLASSES = 10

PARTS = 5
"""A split takes a fifth of a dataset's examples for validation and another for tests."""


@dataclass(frozen=True)
class Study:
    """The table of runs and the predictions, as ``oodbench.query`` and ``.predictions`` give."""

    runs: Runs
    pairs: pd.DataFrame
    predictions: tuple[Predictions, ...]


def score(runs: Runs, rng: np.random.Generator) -> Study:
    """Every run of a study on samples of examples."""
    tables, kept = [], []
    for task in _tasks(runs.design, rng):
        table, predictions = _scored(runs, task, rng)
        tables.append(table)
        kept.append(predictions)
    return Study(runs, pd.concat(tables, ignore_index=True), tuple(kept))


@dataclass(frozen=True)
class _Task:
    """One split of a dataset with one environment left out.

    Attributes:
        place: Indices of dataset, environment and split.
        ids: (2, examples): examples of the validation and of the test part.
        labels: (2, examples).
        hardness: role -> (kinds, examples).
    """

    place: tuple[int, int, int]
    ids: NDArray[np.int64]
    labels: NDArray[np.int8]
    hardness: dict[str, Array]


def _tasks(design: Design, rng: np.random.Generator) -> Iterator[_Task]:
    datasets, environments, splits, *_ = design.shape
    size = design.examples
    for dataset in range(datasets):
        pool = 2 * size if splits == 1 else PARTS * size
        labels = rng.integers(CLASSES, size=pool, dtype=np.int8)
        common = hardness_of(design, pool, rng)
        views = [
            np.sqrt(VIEWS) * common + np.sqrt(1 - VIEWS) * hardness_of(design, pool, rng)
            for _ in range(1 + environments)
        ]
        for split in range(splits):
            ids = rng.permutation(pool)[: 2 * size].reshape(2, size)
            for environment in range(environments):
                hardness = {
                    "id_val": views[0][:, ids[0]],
                    "id_test": views[0][:, ids[1]],
                    "ood_test": views[1 + environment][:, ids[1]],
                }
                yield _Task((dataset, environment, split), ids, labels[ids], hardness)


def hardness_of(design: Design, pool: int, rng: np.random.Generator) -> Array:
    """(kinds, pool): shared by both but for each one's own part."""
    own = np.sqrt(design.kind_hardness) * rng.standard_normal((len(KINDS), pool))
    return np.sqrt(HARDNESS - design.kind_hardness) * rng.standard_normal(pool) + own


def _scored(runs: Runs, task: _Task, rng: np.random.Generator) -> tuple[pd.DataFrame, Predictions]:
    design, (dataset, environment, split) = runs.design, task.place
    lost = runs.lost[task.place].ravel()
    skills = {"id_val": runs.id, "id_test": runs.id, "ood_test": runs.ood}
    correct = {
        role: correct_of(skill[task.place], task.hardness[role], design, rng)
        for role, skill in skills.items()
    }
    table = _table(runs, task.place, {role: each.mean(axis=1) for role, each in correct.items()})
    names = {"id_val": ("val", 0), "id_test": ("test", 1), "ood_test": ("test", 1)}
    away = (environment + 1) % (1 + design.environments)
    examples = pd.concat(
        pd.DataFrame(
            {
                "environment": environment if role == "ood_test" else away,
                "split": names[role][0],
                "role": role,
                "example": task.ids[names[role][1]],
                "label": task.labels[names[role][1]],
            }
        )
        for role in correct
    )
    labels = examples["label"].to_numpy()
    right = np.concatenate(list(correct.values()), axis=1)[~lost]
    predicted = np.where(right, labels, (labels + 1) % CLASSES).astype(np.int8)
    name = f"D{dataset}"
    ids = tuple(table["run"][~lost])
    found = (name, str(environment), split, name, ids, examples.reset_index(drop=True), predicted)
    return table, Predictions(*found)


def correct_of(
    skill: Array, hardness: Array, design: Design, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(optimizers * draws, examples) for skills (optimizers, draws): what is classified rightly."""
    codes = [KINDS.index(one.kind) for one in design.optimizers]
    own = np.sqrt(1 - HARDNESS).astype(np.float32)
    parts = []
    for code, mine in zip(codes, skill, strict=True):
        least = -(mine[:, None] + hardness[code]).astype(np.float32)
        parts.append(own * rng.standard_normal(least.shape, dtype=np.float32) > least)
    return np.concatenate(parts)


def _table(runs: Runs, place: tuple[int, int, int], scores: dict[str, Array]) -> pd.DataFrame:
    """A row a run of one task: optimizers after each other, draws within them."""
    design, (dataset, environment, split) = runs.design, place
    *_, many, draws = design.shape
    draw = np.tile(np.arange(draws), many)
    lost = runs.lost[place].ravel()
    names = np.repeat([one.name for one in design.optimizers], draws)
    task = f"{dataset}.{environment}.{split}"
    run = [f"{task}.{name}.{i}" for name, i in zip(names, draw, strict=True)]
    task_number = dataset * design.environments + environment
    search = task_number * many + np.repeat(np.arange(many), draws)
    table = {
        "run": run,
        "config_id": run,
        "dataset": f"D{dataset}",
        "test_environments": str(environment),
        "algorithm": "erm",
        "optimizer": names,
        "optimizer_kind": np.repeat([one.kind for one in design.optimizers], draws),
        "model": "mlp",
        "steps": 300,
        "seed": draw + 1_000_000 * (0 if design.shared_draws else search),
        "data_seed": split,
        "sampler": "random",
        "status": np.where(lost, "diverged", "completed"),
        "gradient_evaluations": 300,
        "shift": "diversity",
        "chance": CHANCE,
        "num_classes": CLASSES,
        "metric": "accuracy",
        **{role: np.where(lost, np.nan, values) for role, values in scores.items()},
        **{f"n_{name}": design.examples for name in (*scores, "id", "ood")},
        "lr": 10 ** (runs.lr[place].ravel() - 2),
    }
    frame = pd.DataFrame(table)
    return frame.assign(id=frame["id_test"], ood=frame["ood_test"])
