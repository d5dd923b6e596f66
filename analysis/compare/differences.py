"""Differences of the sides of a contest: at each budget, under each cut of the search spaces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..runs.names import pretty
from ..runs.resampling import DRAWS
from ..runs.trials import SCORES
from ..stats.intervals import Array, within_range
from ..stats.testing import LEVEL, ends_of
from .contests import Contest
from .estimates import Tasks, mean_over, weights_of
from .expected import Bought
from .population import population
from .uncertain import Uncertain, variance, variances

UNCUT = "parts of the spaces (too few draws)"
WIDER = "wider ranges of {} (its best scores rise towards the {})"
"""What stand in the place of cuts that are not made: no difference is tested to be there. A side
whose ranges end short may be the lower one for that reason alone, which no part of them shows."""


@dataclass(frozen=True)
class Differences:
    """The expected score of the first side of a contest less that of the second."""

    tasks: Tasks
    contest: Contest

    @cached_property
    def sampled(self) -> Array:
        """(R, budgets, scores): on average over the tasks."""
        return self._sampled(self.tasks.bought)

    def of(self, score: int, budget: int = 0) -> Uncertain:
        """The difference with the variances of the bootstrap and of data splits."""
        df = self.tasks.freedom(self.contest.members, budget)
        splits = _on_splits(self.tasks.bought, self.contest, budget, score)
        ways = self.tasks.bought[0].ways
        mine = self.sampled[:, budget, score]
        return Uncertain(float(mine[0]), variances(mine, ways, df, splits))

    def under_cuts(self) -> dict[str, tuple[Uncertain, ...]]:
        """The differences of each score under each cut, at the budget that decides.

        Only these are resampled: what other examples or data splits would change is taken to be the
        same as without the cut.
        """
        others = [self.of(j).parts[1:] for j in range(len(SCORES))]
        found = {}
        for cut, bought in self.tasks.cuts.items():
            df = self.tasks.freedom(self.contest.members, cut=cut)
            sampled = self._sampled(bought)[:, 0]
            drawn = sampled[bought[0].ways[DRAWS]]
            found[cut] = tuple(
                Uncertain(float(sampled[0, j]), ((variance(drawn[:, j]), df), *others[j]))
                for j in range(len(SCORES))
            )
        return found

    def improvement(self, score: int) -> Uncertain:
        """P(improvement): the mean over all pairs of one optimizer of each side, over the tasks."""
        each = []
        for one in self.tasks.bought:
            names = list(one.values)
            a, b = ([names.index(name) for name in side] for side in self.contest.sides)
            each.append(one.wins[:, score][:, a][:, :, b].mean(axis=(1, 2)))
        sampled = np.tensordot(weights_of(self.tasks.bought), each, axes=1)
        df = self.tasks.freedom(self.contest.members)
        ways = self.tasks.bought[0].wins_ways
        return Uncertain(float(sampled[0]), variances(sampled, ways, df, ()))

    def _sampled(self, bought: Sequence[Bought]) -> Array:
        a, b = (mean_over(bought, side) for side in self.contest.sides)
        return a - b


def contested(
    tasks: Tasks, contests: Sequence[Contest]
) -> Iterator[tuple[Contest, str, dict[str, Any]]]:
    """Each contest and score with its numbers: at the budgets, and under each cut."""
    for contest in contests:
        differences = Differences(tasks, contest)
        cuts = differences.under_cuts()
        for j, score in enumerate(SCORES):
            yield contest, score, _numbers(differences, j, cuts)


def _numbers(
    differences: Differences, score: int, cuts: Mapping[str, Sequence[Uncertain]]
) -> dict[str, Any]:
    """The numbers of one row."""
    tasks, contest = differences.tasks, differences.contest
    a, b = (mean_over(tasks.bought, side)[0, 0, score] for side in contest.sides)
    found = differences.of(score)
    row: dict[str, Any] = {"value_a": a, "value_b": b}
    row |= ends_of(within_range(found.estimate(), -1, 1)) | {"p": found.p()}
    row |= population(tasks, contest, score, found)
    better = differences.improvement(score)
    row |= within_range(better.estimate(), 0, 1).columns("improvement")
    row["at_budgets"] = tuple(
        (budget.amount, round(one.value, 6), one.sign())
        for i, budget in enumerate(tasks.budgets)
        for one in [differences.of(score, i)]
    )
    row["under_cuts"] = tuple(
        (cut, round(each[score].value, 6), each[score].sign(2 * LEVEL))
        for cut, each in cuts.items()
    )
    untested = [UNCUT] if tasks.uncut else []
    lower = contest.sides[0 if found.value < 0 else 1]
    untested += [
        WIDER.format(pretty(name), edges.replace(", ", " and "))
        for name, edges in tasks.edges.items()
        if name in lower
    ]
    row["under_cuts"] += tuple((what, np.nan, 0) for what in untested)
    return row


def _on_splits(bought: Sequence[Bought], contest: Contest, budget: int, score: int) -> list[float]:
    """The difference on each data split that all tasks and optimizers have."""
    shared = set.intersection(*(set(one.of_split) for one in bought))
    found = []
    for split in sorted(shared):
        each = [one.of_split[split] for one in bought]
        if all(name in values for values in each for name in contest.members):
            sides = [
                np.mean([[values[name][budget, score] for name in side] for values in each], axis=1)
                for side in contest.sides
            ]
            found.append(float(weights_of(bought) @ (sides[0] - sides[1])))
    return found
