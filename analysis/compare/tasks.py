"""Optimizers across datasets: interquartile means and probabilities of improvement.

A task is a dataset with its test environments. Scores of different tasks are never taken for runs
of one: each has its own search, its own bootstrap (stratified) and an equal weight (Agarwal et al.
2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"). The intervals are
over searches on these tasks. They say nothing of other datasets, for which a handful is too few.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name

from ..runs.trials import SCORES
from ..stats.best_of import RESAMPLES, selected
from ..stats.intervals import Array, from_error, within_range
from .comparison import Comparison, Settings, Unit
from .contests import Contest, both_kinds, every_pair
from .estimates import Tasks, Weights, contested, judged_twice

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
    comparison = Comparison(rule, budget, unit, algorithm=algorithm, resamples=resamples, seed=seed)
    return pd.DataFrame(row for tasks in _tasks(pairs, comparison) for row in _iqm_rows(tasks))


def _iqm_rows(tasks: Tasks) -> Iterator[dict[str, Any]]:
    optimizers = tasks.searches[0].optimizers
    points, errors = tasks.estimated(partial(_iqms, tasks))
    for (j, score), (i, name) in product(enumerate(SCORES), enumerate(optimizers)):
        found = within_range(from_error(points[i, j], errors[i, j], tasks.freedom([name])), 0, 1)
        yield {
            **{**tasks.algorithm, "score": score, "optimizer": name},
            **{**tasks.known, "tasks": len(tasks.searches), **tasks.counts([name])},
            **{"iqm": found.value, "low": found.low, "high": found.high},
        }


def compare_across(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    by: Literal["optimizer", "kind"] = "optimizer",
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Every pair of optimizers, or the two kinds, on average over tasks.

    ``difference``, ``improvement`` and ``cliffs_delta`` are those of
    ``analysis.compare.optimizers.compare_optimizers`` on each task, averaged over the tasks.

    Args:
        pairs, rule: As there.
        by: ``optimizer``, or ``kind``: adaptive against non-adaptive, see ``compare_kinds``.
        settings: As there; the default of ``budget`` is the smallest of the tasks' defaults.

    Returns:
        A row per algorithm, pair (``a``, ``b``) and score: ``rule``, ``unit``, ``budget``,
        ``tasks`` (how many), ``trials``, ``completed``, ``diverged``, ``failed`` of each, and the
        numbers, as there; Holm's family are the pairs of one algorithm and score. Tasks that lack
        an optimizer of the algorithm are left out.

    Raises:
        RequestError: As there, or no task has all optimizers.
        UnknownNameError: As there.
    """
    check_name("comparison", by, ("optimizer", "kind"))
    comparison = Comparison.of(rule, settings)
    contests_of = every_pair if by == "optimizer" else both_kinds
    found = [(tasks, contests_of(tasks.searches[0])) for tasks in _tasks(pairs, comparison)]
    rows = [row for tasks, contests in found if contests for row in _rows(tasks, contests)]
    if not rows:
        raise RequestError(
            f"No two {by}s have finished runs on one dataset with one algorithm, so there is "
            "nothing to compare. Train more, or check the filter."
        )
    return judged_twice(pd.DataFrame(rows), ["algorithm", "score"], comparison.margin)


def _rows(tasks: Tasks, contests: Sequence[Contest]) -> Iterator[dict[str, Any]]:
    for contest, score, numbers in contested(tasks, contests):
        yield {
            **{**tasks.algorithm, "a": contest.a, "b": contest.b, "score": score},
            **{**tasks.known, "tasks": len(tasks.searches)},
            **tasks.counts(contest.members_a, "_a"),
            **tasks.counts(contest.members_b, "_b"),
            **numbers,
        }


def _tasks(pairs: pd.DataFrame, comparison: Comparison) -> Iterator[Tasks]:
    """The panels of each algorithm that have all optimizers which it has anywhere.

    Raises:
        RequestError: An algorithm has no such panel.
    """
    found = comparison.searches(pairs)
    for algorithm in dict.fromkeys(one.panel.algorithm for one in found):
        mine = [one for one in found if one.panel.algorithm == algorithm]
        every = {name for one in mine for name in one.optimizers}
        shared = [one for one in mine if every.issubset(one.optimizers)]
        if not shared:
            raise RequestError(
                f"No dataset has finished runs of every optimizer with {algorithm!r} "
                f"({', '.join(sorted(every))}), so they cannot be averaged over datasets. Leave "
                "out the optimizers that are not everywhere, or train them."
            )
        yield Tasks.of(shared, comparison, BLOCK)


def _iqms(tasks: Tasks, weights: Weights) -> Array:
    """(resamples, optimizers of the first task, scores)."""
    optimizers = tasks.searches[0].optimizers
    columns = []
    for name, score in product(optimizers, SCORES):
        values, chosen = [], []
        for one, n, here in zip(tasks.searches, tasks.paid, weights, strict=True):
            mine = one.of(name)
            values.append(mine.scores[score])
            chosen.append(selected(mine.rank, n[name], here[name]))
        columns.append(interquartile_mean(np.concatenate(values), np.concatenate(chosen, axis=-1)))
    return np.stack(columns, axis=-1).reshape(-1, len(optimizers), len(SCORES))
