"""Optimizers across datasets: interquartile means and probabilities of improvement.

A task is a dataset with its test environments. Scores of different tasks are never taken for runs
of one: each has its own search, its own bootstrap (stratified) and an equal weight (Agarwal et al.
2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"). The intervals are
over searches on these tasks. They say nothing of other datasets, for which a handful is too few.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, UnknownNameError

from ..runs.searches import Searches, searches
from ..runs.trials import FINISHED, SCORES
from ..stats.best_of import RESAMPLES, freedom, selected
from ..stats.intervals import Array, from_error, spread, within_range
from ..stats.testing import MARGIN
from .contests import (
    FEWEST,
    STATISTICS,
    Contest,
    Unit,
    both_kinds,
    every_pair,
    freedoms,
    statistics,
    trials_for,
)
from .optimizers import judged_twice, numbers

BLOCK = 50
"""Resamples of all tasks at once."""


def interquartile_mean(values: Array, weights: Array) -> Array:
    """Mean of the middle half: without the lowest and the highest quarter of the weight.

    Equal weights give ``scipy.stats.trim_mean(values, 0.25)`` where 4 divides their number;
    otherwise a value at a quarter's edge counts in part.

    Args:
        values: (N,).
        weights: (..., N), not negative.
    """
    order = np.argsort(values)
    up_to = np.cumsum(weights[..., order], axis=-1)
    share = np.clip(up_to / up_to[..., -1:], 0.25, 0.75)
    kept = np.diff(share, prepend=0.25, axis=-1)
    mean: Array = 2 * (kept @ values[order])
    return mean


def interquartile_means(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Interquartile mean over tasks and searches of the accuracy that each optimizer's budget buys.

    The distribution is that of the accuracy of the run that ``rule`` selects, over searches of the
    budget's size and over tasks, which count equally. With ``budget=1`` it is that of the trials
    themselves, as the reference takes it.

    Args:
        pairs, rule, unit, resamples, seed: As for ``compare_optimizers``.
        budget: Of each optimizer on each task. Default: the smallest of the tasks' defaults.
        algorithm: Only this one.

    Returns:
        A row per algorithm, score (id or ood) and optimizer: ``rule``, ``unit``, ``budget``,
        ``tasks`` (how many), ``trials``, ``completed``, ``diverged``, ``failed`` on all of them,
        ``iqm``, ``low``, ``high``. Tasks that lack an optimizer of the algorithm are left out.

    Raises:
        RequestError: As there, or no task has all optimizers.
        UnknownNameError: As there.
    """
    rows = []
    for tasks in _tasks(searches(pairs, rule, None, algorithm)):
        budget_here, n = _budgets(tasks, budget, unit)
        points = _iqms(tasks, n, [one.at_hand() for one in tasks])[0]
        drawn = _stratified(tasks, resamples, seed)
        errors = spread([_iqms(tasks, n, weights) for weights in drawn])
        known = {"rule": rule, "unit": unit, "budget": budget_here, "tasks": len(tasks)}
        for (j, score), (i, mine) in product(enumerate(SCORES), enumerate(tasks[0].trials)):
            name = mine.optimizer
            degrees = min(_degrees(one, name, k[name]) for one, k in zip(tasks, n, strict=True))
            found = within_range(from_error(points[i, j], errors[i, j], degrees), 0, 1)
            row = {"algorithm": tasks[0].panel.algorithm, "score": score, "optimizer": name}
            ends = {"iqm": found.value, "low": found.low, "high": found.high}
            rows.append({**row, **known, **_counts(tasks, [name]), **ends})
    return pd.DataFrame(rows)


def compare_across(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    by: Literal["optimizer", "kind"] = "optimizer",
    budget: float | None = None,
    unit: Unit = "trials",
    margin: float = MARGIN,
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Every pair of optimizers, or the two kinds, on average over tasks.

    ``difference``, ``improvement`` and ``cliffs_delta`` are those of
    ``analysis.compare.optimizers.compare_optimizers`` on each task, averaged over the tasks.

    Args:
        pairs, rule, unit, margin, resamples, seed: As there.
        by: ``optimizer``, or ``kind``: adaptive against non-adaptive, see ``compare_kinds``.
        budget: Of each optimizer on each task. Default: the smallest of the tasks' defaults.
        algorithm: Only this one.

    Returns:
        A row per algorithm, pair (``a``, ``b``) and score: ``rule``, ``unit``, ``budget``,
        ``tasks`` (how many), ``trials``, ``completed``, ``diverged``, ``failed`` of each, and the
        numbers, as there; Holm's family are the pairs of one algorithm and score. Tasks that lack
        an optimizer of the algorithm are left out.

    Raises:
        RequestError: As there, or no task has all optimizers.
        UnknownNameError: As there.
    """
    if by not in ("optimizer", "kind"):
        raise UnknownNameError("comparison", by, ("optimizer", "kind"))
    rows = []
    for tasks in _tasks(searches(pairs, rule, None, algorithm)):
        names = [mine.optimizer for mine in tasks[0].trials]
        contests = every_pair(names) if by == "optimizer" else both_kinds(tasks[0])
        budget_here, n = _budgets(tasks, budget, unit)
        known = {"rule": rule, "unit": unit, "budget": budget_here, "tasks": len(tasks)}
        if contests:
            rows += _rows(tasks, contests, n, known, resamples, seed)
    if not rows:
        raise RequestError(
            f"No two {by}s have finished runs on one dataset with one algorithm, so there is "
            "nothing to compare. Train more, or check the filter."
        )
    return judged_twice(pd.DataFrame(rows), ["algorithm", "score"], margin)


def _rows(
    tasks: Sequence[Searches],
    contests: Sequence[Contest],
    n: Sequence[Mapping[str, int]],
    known: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    def mean(weights: Sequence[Mapping[str, Array]]) -> Array:
        each = zip(tasks, n, weights, strict=True)
        found: Array = np.mean([statistics(one, contests, k, w) for one, k, w in each], axis=0)
        return found

    points = mean([one.at_hand() for one in tasks])[0]
    errors = spread([mean(weights) for weights in _stratified(tasks, resamples, seed)])
    rows = []
    for (i, contest), (j, score) in product(enumerate(contests), enumerate(SCORES)):
        every = [freedoms(one, contest, k) for one, k in zip(tasks, n, strict=True)]
        degrees = {name: min(found[name] for found in every) for name in STATISTICS}
        rows.append(
            {
                **{"algorithm": tasks[0].panel.algorithm, "a": contest.a, "b": contest.b},
                **{"score": score, **known},
                **_counts(tasks, contest.members_a, "_a"),
                **_counts(tasks, contest.members_b, "_b"),
                **numbers(points[i, j], errors[i, j], degrees),
            }
        )
    return rows


def _tasks(found: Sequence[Searches]) -> Iterator[list[Searches]]:
    """The panels of each algorithm that have all optimizers which it has anywhere.

    Raises:
        RequestError: An algorithm has no such panel.
    """
    for algorithm in dict.fromkeys(one.panel.algorithm for one in found):
        mine = [one for one in found if one.panel.algorithm == algorithm]
        names = [{trials.optimizer for trials in one.trials} for one in mine]
        every = set().union(*names)
        tasks = [one for one, own in zip(mine, names, strict=True) if own == every]
        if not tasks:
            raise RequestError(
                f"No dataset has finished runs of every optimizer with {algorithm!r} "
                f"({', '.join(sorted(every))}), so they cannot be averaged over datasets. Leave "
                "out the optimizers that are not everywhere, or train them."
            )
        yield tasks


def _budgets(
    tasks: Sequence[Searches], budget: float | None, unit: Unit
) -> tuple[float, list[dict[str, int]]]:
    """The budget, and the trials that each task's optimizers get for it."""
    if budget is None:
        budget = min(trials_for(one, None, unit)[0] for one in tasks)
    return budget, [trials_for(one, budget, unit)[1] for one in tasks]


def _stratified(
    tasks: Sequence[Searches], resamples: int, seed: int
) -> Iterator[list[dict[str, Array]]]:
    """Weights of every task, resampled within each."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        yield [next(one.resampled(size, rng)) for one in tasks]


def _iqms(
    tasks: Sequence[Searches],
    n: Sequence[Mapping[str, int]],
    weights: Sequence[Mapping[str, Array]],
) -> Array:
    """(resamples, optimizers of the first task, scores)."""
    columns = []
    for name, score in product((mine.optimizer for mine in tasks[0].trials), SCORES):
        values, chosen = [], []
        for one, k, here in zip(tasks, n, weights, strict=True):
            mine = one.of(name)
            values.append(mine.scores[score])
            chosen.append(selected(mine.rank, k[name], here[name]))
        columns.append(interquartile_mean(np.concatenate(values), np.concatenate(chosen, axis=-1)))
    return np.stack(columns, axis=-1).reshape(-1, len(tasks[0].trials), len(SCORES))


def _degrees(one: Searches, name: str, n: int) -> float:
    trials = one.of(name).configurations
    return freedom(trials, n) if trials >= FEWEST else 0.0


def _counts(tasks: Sequence[Searches], names: Sequence[str], side: str = "") -> dict[str, int]:
    """Numbers of trials of these optimizers on all tasks."""
    mine = [one.of(name) for one in tasks for name in names]
    counts = {f"{status}{side}": sum(one.counts[status] for one in mine) for status in FINISHED}
    return {f"trials{side}": sum(len(one.rank) for one in mine), **counts}
