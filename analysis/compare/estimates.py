"""What a comparison comes to: estimates on one task or averaged over several, and their errors.

A task is a panel: a dataset with its test environments, for one algorithm. Each has its own search
and its own bootstrap (stratified), and an equal weight.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError

from ..runs.searches import Searches
from ..runs.trials import FINISHED, SCORES
from ..stats.best_of import freedom, improvement, selected
from ..stats.intervals import Array, from_error, spread, within_range
from ..stats.testing import ends_of, holm_within, judged, p_value
from .comparison import Comparison
from .contests import Contest

STATISTICS = ("value_a", "value_b", "difference", "improvement", "cliffs_delta")
"""Expected scores of the selected runs and a - b of them; the probability that a's selected run
scores higher; P(a > b) - P(a < b) of single trials."""

RANGES = {"difference": (-1, 1), "improvement": (0, 1), "cliffs_delta": (-1, 1)}

EIGHTH = 8
"""The budget that is compared by default is this part of the least: see ``best_of.freedom``."""

FEWEST = 5
"""Fewer configurations than this give no interval: all of one side may lie above all of the other
by chance, and no resample would show it."""

Weights = Sequence[Mapping[str, Array]]
"""Of each task: optimizer -> (resamples, N): how often each trial is there."""


@dataclass(frozen=True)
class Tasks:
    """The tasks of one comparison, and what each optimizer may spend on each.

    Attributes:
        searches: Of each task.
        paid: Of each task: optimizer -> trials of a search that the budget pays for.
        comparison: How they are compared; its budget is the one that each optimizer has on each.
        block: Resamples at once: of many tasks few, for their weights are held together. The last
            bit of a number may depend on it.
    """

    searches: Sequence[Searches]
    paid: Sequence[Mapping[str, int]]
    comparison: Comparison
    block: int

    @classmethod
    def of(cls, found: Sequence[Searches], comparison: Comparison, block: int) -> "Tasks":
        """The tasks at the budget that was asked for, or at the smallest of their defaults."""
        if comparison.budget is None:
            least = min(trials_for(one, comparison)[0] for one in found)
            comparison = replace(comparison, budget=least)
        paid = [trials_for(one, comparison)[1] for one in found]
        return cls(found, paid, comparison, block)

    @property
    def algorithm(self) -> dict[str, str]:
        """The column of that name: all tasks are of one."""
        return {"algorithm": self.searches[0].panel.algorithm}

    @property
    def known(self) -> dict[str, Any]:
        """Columns of every row of a table: the rule, the budget and its unit."""
        how = self.comparison
        return {"rule": how.rule, "unit": how.unit, "budget": how.budget}

    def estimated(self, statistics: Callable[[Weights], Array]) -> tuple[Array, Array]:
        """Statistics (resamples, ...) of the trials at hand, and their bootstrap errors: (...)."""
        points = statistics([one.at_hand() for one in self.searches])[0]
        return points, spread([statistics(weights) for weights in self._resampled()])

    def _resampled(self) -> Iterator[Weights]:
        """Weights of every task, resampled within each."""
        how = self.comparison
        rng = np.random.default_rng(how.seed)
        for start in range(0, how.resamples, self.block):
            size = min(self.block, how.resamples - start)
            yield from zip(*(one.resampled(size, rng) for one in self.searches), strict=True)

    def counts(self, names: Sequence[str], side: str = "") -> dict[str, int]:
        """Numbers of trials of these optimizers on all tasks."""
        mine = [one.of(name) for one in self.searches for name in names]
        counts = {f"{status}{side}": sum(one.counts[status] for one in mine) for status in FINISHED}
        return {f"trials{side}": sum(len(one.rank) for one in mine), **counts}

    def freedom(self, names: Sequence[str], *, single: bool = False) -> float:
        """Degrees of freedom of the optimizers' expected scores, or single trials; 0 for none."""
        each = zip(self.searches, self.paid, strict=True)
        alone = dict.fromkeys(names, 1)
        return min(_freedom(one, names, alone if single else n) for one, n in each)


def trials_for(one: Searches, comparison: Comparison) -> tuple[float, dict[str, int]]:
    """The budget, and how many trials each optimizer gets for it.

    Raises:
        RequestError: It pays for no trial of some optimizer, or for more than some has; or the
            gradient evaluations of some are not known.
    """
    budget, unit = comparison.budget, comparison.unit
    costs = {mine.optimizer: 1.0 if unit == "trials" else mine.cost for mine in one.trials}
    if not np.isfinite(list(costs.values())).all():
        raise RequestError(
            "A budget in gradient evaluations needs the column gradient_evaluations for runs of "
            "every optimizer. Pass what oodbench.results.query.pairs returns, or count in trials."
        )
    least = min(len(mine.rank) * costs[mine.optimizer] for mine in one.trials)
    if budget is None:
        eighth = least // EIGHTH if unit == "trials" else least / EIGHTH
        budget = max(eighth, *costs.values())
    # Rounding must not take away the last trial that is just paid for.
    n = {name: int(budget / cost * (1 + 1e-9)) for name, cost in costs.items()}
    if min(n.values()) < 1 or budget > least * (1 + 1e-9):
        raise RequestError(
            "A budget is at least one trial of every optimizer and at most what each has trained, "
            f"here {max(costs.values()):,.6g} to {least:,.6g} {unit.replace('_', ' ')}, but it is "
            f"{budget:,.6g}."
        )
    return budget, n


def contested(
    tasks: Tasks, contests: Sequence[Contest]
) -> Iterator[tuple[Contest, str, dict[str, Any]]]:
    """Each contest and score with its numbers, averaged over the tasks."""

    def mean(weights: Weights) -> Array:
        each = zip(tasks.searches, tasks.paid, weights, strict=True)
        found: Array = np.mean([statistics(one, contests, n, w) for one, n, w in each], axis=0)
        return found

    points, errors = tasks.estimated(mean)
    for (i, contest), (j, score) in product(enumerate(contests), enumerate(SCORES)):
        degrees = dict.fromkeys(STATISTICS, tasks.freedom(contest.members))
        degrees["cliffs_delta"] = tasks.freedom(contest.members, single=True)
        yield contest, score, numbers(points[i, j], errors[i, j], degrees)


def statistics(
    one: Searches,
    contests: Sequence[Contest],
    n: Mapping[str, int],
    weights: Mapping[str, Array],
) -> Array:
    """What is compared, (resamples, contests, scores, ``STATISTICS``).

    Args:
        one, contests: The panel, and who is compared.
        n: Optimizer -> trials of a search.
        weights: Optimizer -> (resamples, N): how often each trial is there.
    """
    trials = {mine.optimizer: mine for mine in one.trials}
    chosen = {name: selected(t.rank, n[name], weights[name]) for name, t in trials.items()}
    single = {name: selected(t.rank, 1, weights[name]) for name, t in trials.items()}
    result = np.empty((len(chosen[one.optimizers[0]]), len(contests), 2, len(STATISTICS)))
    for (i, contest), (j, score) in product(enumerate(contests), enumerate(SCORES)):
        scores = {name: t.scores[score] for name, t in trials.items()}
        a, b = (
            np.mean([chosen[name] @ scores[name] for name in side], axis=0)
            for side in (contest.members_a, contest.members_b)
        )
        best, any_trial = (_improvement(contest, scores, p) for p in (chosen, single))
        columns = [a, b, a - b, best, 2 * any_trial - 1]
        result[:, i, j] = np.stack(columns, axis=-1)
    return result


def _improvement(contest: Contest, scores: Mapping[str, Array], p: Mapping[str, Array]) -> Array:
    """The mean over all pairs of one optimizer of each side."""
    couples = product(contest.members_a, contest.members_b)
    each = [improvement(p[a], scores[a], p[b], scores[b]) for a, b in couples]
    mean: Array = np.mean(each, axis=0)
    return mean


def _freedom(one: Searches, names: Sequence[str], n: Mapping[str, int]) -> float:
    """That of the optimizer with the fewest; 0 where one has too few configurations."""
    sizes = {name: one.of(name).configurations for name in names}
    if min(sizes.values()) < FEWEST:
        return 0.0
    return min(freedom(size, n[name]) for name, size in sizes.items())


def numbers(points: Array, errors: Array, degrees: Mapping[str, float]) -> dict[str, Any]:
    """The statistics of one row, with the ends of their intervals and p-values."""
    value = dict(zip(STATISTICS, points, strict=True))
    error = dict(zip(STATISTICS, errors, strict=True))
    row: dict[str, Any] = {"value_a": value["value_a"], "value_b": value["value_b"]}
    for name, ends in RANGES.items():
        found = within_range(from_error(value[name], error[name], degrees[name]), *ends)
        row |= ends_of(found) if name == "difference" else found.columns(name)
        if name != "improvement":
            p = "p" if name == "difference" else f"{name}_p"
            row[p] = p_value(value[name], error[name], degrees[name])
    return row


def judged_twice(table: pd.DataFrame, family: Sequence[str], margin: float) -> pd.DataFrame:
    """The table with the verdicts, and Holm's p-values for the differences and Cliff's deltas."""
    return holm_within(judged(table, family, margin), "cliffs_delta_p", family)
