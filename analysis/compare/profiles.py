"""Performance profiles: on what share of tasks an optimizer is nearly the best, or the first.

Dolan and More (2002), "Benchmarking optimization software with performance profiles". The share of
targets that are reached within a multiple of the fastest optimizer's cost, and the area under it as
a score, are those of AlgoPerf (Dahl et al. 2023, "Benchmarking Neural Network Training
Algorithms").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd

from oodbench.results.predictions import Predictions

from ..runs.resampling import DRAWS
from ..runs.searches import Searches
from ..runs.trials import SCORES
from ..stats.best_of import INDEPENDENT
from ..stats.intervals import Array
from .budgets import Budget
from .comparison import Comparison, Settings
from .estimates import FEWEST
from .estimation import Estimation
from .expected import bought
from .tasks import shared_panels

WITHIN = np.linspace(0, 0.1, 101)
"""How far below the best one: fractions of accuracy."""

TIMES = np.linspace(1, 4, 121)
"""How many times the cost of the fastest one; AlgoPerf's profiles end at 4, too."""

OOD = SCORES.index("ood")


@dataclass(frozen=True)
class Profile:
    """The profiles of the optimizers of one algorithm.

    Attributes:
        algorithm: Name of the algorithm.
        optimizers: Names, in order of first appearance.
        tasks, datasets: How many tasks there are, of how many datasets.
        amount, unit: The budget of each.
        unreached: Tasks whose target no optimizer reaches.
        near: For each optimizer (3, len(``WITHIN``)): share of tasks on which its expected OOD
            accuracy is within so much of the best one's; the ends of its 95% interval.
        fast: For each (3, len(``TIMES``)): share of tasks on which it reaches the target within
            so many times the trials of the fastest one; the ends.
        scores: Scores of each (3,): the mean of ``fast`` over ``TIMES``; the ends.
    """

    algorithm: str
    optimizers: tuple[str, ...]
    tasks: int
    datasets: int
    amount: float
    unit: str
    unreached: int
    near: Mapping[str, Array]
    fast: Mapping[str, Array]
    scores: Mapping[str, Array]


def profiles(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> tuple[Profile, ...]:
    """The profiles of each algorithm's optimizers, over the tasks that have all of them.

    A task is a dataset with its test environments. Its target is the median, over the optimizers,
    of the expected OOD accuracy at the budget; the cost of an optimizer is the smallest number of
    trials of which the rule is expected to select a run that reaches it, up to a quarter of its
    search. Intervals are percentiles of the bootstrap over draws; the target stays.

    Args:
        pairs, rule, predictions, settings: See ``analysis.compare_across``, in trials.

    Raises:
        RequestError, UnknownNameError: As there.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    return tuple(_profiles(estimation))


def _profiles(estimation: Estimation) -> Iterator[Profile]:
    for algorithm, found in shared_panels(estimation):
        names = found[0].optimizers
        tasks = estimation.tasks(found, names, full=False)
        values = np.stack([_stacked(one.values, names)[..., 0, OOD] for one in tasks.bought], -1)
        ways = tasks.bought[0].ways[DRAWS]
        costs = np.stack(
            [
                _costs(one, names, estimation, float(np.median(values[0, :, i])))
                for i, one in enumerate(found)
            ],
            axis=-1,
        )
        enough = min(one.draws[name] for one in tasks.bought for name in names) >= FEWEST
        near, fast = within(values, WITHIN), reached(costs, TIMES)
        yield Profile(
            *(algorithm, tuple(names), len(found), len(tasks.datasets)),
            *(tasks.budgets[0].amount, estimation.comparison.unit),
            int(np.isinf(costs[0]).all(axis=0).sum()),
            *(
                {name: _with_ends(shares[:, i], ways, enough) for i, name in enumerate(names)}
                for shares in (near, fast, fast.mean(axis=-1))
            ),
        )


def _stacked(values: Mapping[str, Array], names: Sequence[str]) -> Array:
    """The values as one array (R, optimizers, budgets, scores)."""
    return np.stack([values[name] for name in names], axis=1)


def _costs(one: Searches, names: Sequence[str], estimation: Estimation, target: float) -> Array:
    """(R, optimizers): trials until the target is expected to be reached; infinite for never."""
    sizes = {
        mine.optimizer: len(mine.runs) // len(mine.splits)
        for mine in one.trials
        if mine.optimizer in names
    }
    most = max(1, min(sizes.values()) // INDEPENDENT)
    numbers = np.arange(1.0, most + 1)
    budgets = [Budget(n, dict.fromkeys(sizes, int(n))) for n in numbers]
    found = bought(one, budgets, estimation.resampling.of_draws(), wins=False)
    curves = _stacked(found.values, names)[..., OOD]
    return first_reached(curves, numbers, target)


def first_reached(curves: Array, numbers: Array, target: float) -> Array:
    """(...): the first of the numbers at which a curve reaches the target; infinite for none.

    Args:
        curves: (..., numbers).
        numbers: (numbers,), rising.
        target: At least this, but for the last digits.
    """
    there = curves >= target - 1e-9
    return np.where(there.any(axis=-1), numbers[there.argmax(axis=-1)], np.inf)


def within(values: Array, margins: Array) -> Array:
    """(R, optimizers, margins): on which share of tasks each is within a margin of the best.

    Args:
        values: (R, optimizers, tasks).
        margins: (margins,).
    """
    behind = values.max(axis=1, keepdims=True) - values
    share: Array = (behind[..., None] <= margins + 1e-9).mean(axis=2)
    return share


def reached(costs: Array, times: Array) -> Array:
    """(R, optimizers, times): on which share of tasks each costs at most so many times the least.

    Args:
        costs: (R, optimizers, tasks); infinite where a target is not reached.
        times: (times,), from 1 on.
    """
    least = costs.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isfinite(costs), costs / least, np.inf)
    share: Array = (ratio[..., None] <= times + 1e-9).mean(axis=2)
    return share


def _with_ends(sampled: Array, ways: slice, enough: bool) -> Array:
    """(3, ...): the value, and the ends of its interval."""
    ends = np.percentile(sampled[ways], [2.5, 97.5], axis=0)
    return np.stack([sampled[0], *(ends if enough else np.full(ends.shape, np.nan))])
