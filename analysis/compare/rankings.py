"""Optimizers ranked over tasks, and whether their mean ranks differ: Demsar's comparison."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions

from ..runs.resampling import DRAWS
from ..runs.searches import Searches
from ..runs.trials import SCORES
from ..stats.intervals import Array
from .comparison import Comparison, Settings
from .estimates import FEWEST
from .estimation import Estimation
from .tasks import shared_panels

LEAST = 3
"""Fewer optimizers or tasks than this have no ranks to speak of."""


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of optimizers over the tasks of one algorithm; 1 is the best.

    Attributes:
        algorithm: Name of the algorithm.
        rule: How runs were selected.
        amount: The budget of each, such as 8, in ``unit``.
        unit: Unit of the budget.
        optimizers: Names, in order of first appearance.
        tasks: How many; test environments of one dataset among them.
        datasets: How many of these there are.
        ranks: (optimizers,): the mean over tasks of the rank in expected OOD accuracy; ties share.
        low, high: (optimizers,): ends of 95% intervals over draws of the searches (percentiles of
            the bootstrap); NaN for fewer than five draws.
        friedman: p-value of Friedman's test that all mean ranks are equal.
        nemenyi: (optimizers, optimizers): p-values of Nemenyi's tests of pairs.
    """

    algorithm: str
    rule: str
    amount: float
    unit: str
    optimizers: tuple[str, ...]
    tasks: int
    datasets: int
    ranks: Array
    low: Array
    high: Array
    friedman: float
    nemenyi: Array


def rankings(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> tuple[Ranking, ...]:
    """Rank the optimizers of each algorithm on every task that has all of them.

    A task is a dataset with its test environments. Friedman's and Nemenyi's tests (Demsar 2006,
    "Statistical Comparisons of Classifiers over Multiple Data Sets") take tasks to be independent:
    those of one dataset are not, so that p-values are too small where datasets are few.

    Args:
        pairs, rule, predictions, settings: See ``analysis.compare_across``.

    Raises:
        RequestError: As there, or an algorithm has fewer than three optimizers or tasks.
        UnknownNameError: As there.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    return tuple(_rankings(estimation))


def _rankings(estimation: Estimation) -> Iterator[Ranking]:
    for algorithm, found in shared_panels(estimation):
        names = found[0].optimizers
        if len(names) < LEAST or len(found) < LEAST:
            raise RequestError(
                f"Ranks take at least {LEAST} optimizers on {LEAST} tasks (datasets and test "
                f"environments), but {algorithm!r} has {len(names)} on {len(found)}. Draw the "
                "heatmap, or train more."
            )
        yield _ranking(estimation, algorithm, found, names)


def _ranking(
    estimation: Estimation, algorithm: str, found: Sequence[Searches], names: Sequence[str]
) -> Ranking:
    tasks = estimation.tasks(found, names, full=False)
    ood = SCORES.index("ood")
    values = np.stack(
        [np.stack([one.values[name][:, 0, ood] for name in names], -1) for one in tasks.bought],
        axis=1,
    )
    ranks = mean_ranks(values)
    drawn = ranks[tasks.bought[0].ways[DRAWS]]
    ends = np.percentile(drawn, [2.5, 97.5], axis=0)
    if min(one.draws[name] for one in tasks.bought for name in names) < FEWEST:
        ends = np.full(ends.shape, np.nan)
    friedman, nemenyi = rank_tests(values[0])
    comparison = estimation.comparison
    return Ranking(
        algorithm=algorithm,
        rule=comparison.rule,
        amount=tasks.budgets[0].amount,
        unit=comparison.unit,
        optimizers=tuple(names),
        tasks=len(found),
        datasets=len(tasks.datasets),
        ranks=ranks[0],
        low=ends[0],
        high=ends[1],
        friedman=friedman,
        nemenyi=nemenyi,
    )


def mean_ranks(values: Array) -> Array:
    """(..., optimizers): the mean over tasks of ranks; 1 is the highest, ties share their ranks.

    Args:
        values: (..., tasks, optimizers).
    """
    ranks: Array = rankdata(-np.round(values, 9), axis=-1).mean(axis=-2)
    return ranks


def rank_tests(values: Array) -> tuple[float, Array]:
    """p-values of Friedman's test, and of Nemenyi's of every pair, as scikit-posthocs has them.

    Args:
        values: (tasks, optimizers), at least three of each.
    """
    from scikit_posthocs import posthoc_nemenyi_friedman  # late: it takes a second to import

    friedman: Any = friedmanchisquare(*np.round(values, 9).T)
    return float(friedman.pvalue), posthoc_nemenyi_friedman(np.round(values, 9)).to_numpy()
