"""What a comparison comes to: estimates on one task or averaged over several, and their errors.

A task is a panel: a dataset with its test environments, for one algorithm. The environments of a
dataset are averaged first, so that each dataset counts once. The resamples of all tasks have the
same weights of draws and of examples, so an error knows what tasks and optimizers share.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import stdtrit

from ..runs.resampling import ANSWERS, DRAWS, EXAMPLES
from ..runs.trials import FINISHED, SCORES
from ..stats.best_of import freedom
from ..stats.intervals import Array, Estimate, within_range
from ..stats.testing import LEVEL, ends_of, holm_within, judged, p_value
from .budgets import Budget
from .comparison import Comparison
from .contests import Contest
from .expected import Bought

DEPENDS = "depends on the budget"
"""The verdict on a difference that another budget decides the other way."""

MANY = 1000.0
"""Degrees of freedom of a variance over test examples, of which there are at least hundreds."""

UNCUT = "parts of the spaces (too few draws)"
"""What stands in the place of cuts that are not made: no difference is tested to be there."""

FEWEST = 5
"""Fewer draws than this give no interval: all of one side may lie above all of the other by
chance, and no resample would show it."""


@dataclass(frozen=True)
class Uncertain:
    """A number with the variance of its estimate.

    Attributes:
        value: The number.
        parts: Variances that add up, and the degrees of freedom of each.
    """

    value: float
    parts: tuple[tuple[float, float], ...]

    def half(self, level: float) -> float:
        """Half the width of the interval of 1 - ``level``; NaN where a part has no freedom.

        Each variance with the quantile of its own Student's t (Banerjee 1960), which keeps the
        coverage whatever their ratio; Satterthwaite's degrees of freedom do not where a variance of
        few degrees happens to be estimated low.
        """
        variances, freedom = np.array(self.parts).T
        if freedom.min() < 1 or not np.isfinite(variances).all():
            return float("nan")
        return float(np.sqrt((stdtrit(freedom, 1 - level / 2) ** 2 * variances).sum()))

    def estimate(self) -> Estimate:
        """With its 95% and 90% intervals."""
        wide, narrow = self.half(LEVEL), self.half(2 * LEVEL)
        ends = self.value - wide, self.value + wide, self.value - narrow, self.value + narrow
        return Estimate(self.value, *ends)

    def p(self) -> float:
        """Two-sided p-value for 0: the level at which the interval ends there."""
        if not np.isfinite(self.half(LEVEL)):
            return float("nan")
        if self.half(LEVEL) == 0:
            return float(self.value == 0)
        if len(self.parts) == 1:
            variance, freedom = self.parts[0]
            return p_value(self.value, np.sqrt(variance), freedom)
        least = 1e-12
        if self.half(least) < abs(self.value):
            return least
        return float(brentq(lambda level: self.half(level) - abs(self.value), least, 1.0))

    def sign(self, level: float = LEVEL) -> int:
        """1 or -1 for a number that is tested to lie above or below 0, else 0."""
        return int(np.sign(self.value)) if self.half(level) < abs(self.value) else 0


@dataclass(frozen=True)
class Tasks:
    """The tasks of one comparison.

    Attributes:
        bought: What budgets buy on each, at the same budgets.
        comparison: How they are compared.
        cuts: Name of a cut of the search spaces -> the same, of the draws that it keeps.
        uncut: Whether there are too few draws on some task to cut its spaces.
    """

    bought: Sequence[Bought]
    comparison: Comparison
    cuts: Mapping[str, Sequence[Bought]]
    uncut: bool = False

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The one that decides, then the others."""
        return self.bought[0].budgets

    @property
    def datasets(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(one.searches.panel.dataset for one in self.bought))

    @property
    def known(self) -> dict[str, Any]:
        """Columns of every row of a table: the rule, the budget and its unit, what is covered."""
        splits = min(len(one.of_split) for one in self.bought)
        return {
            "rule": self.comparison.rule,
            "unit": self.comparison.unit,
            "budget": self.budgets[0].amount,
            "splits": splits,
            "examples": all(one.covers for one in self.bought),
        }

    def counts(self, names: Sequence[str], side: str) -> dict[str, Any]:
        """Numbers of trials of these optimizers on all tasks, and how likely none has a model."""
        mine = [one.searches.of(name) for one in self.bought for name in names]
        none = [one.no_model[name][0] for one in self.bought for name in names]
        return {
            f"trials{side}": sum(len(one.runs) for one in mine),
            **{f"{status}{side}": sum(one.counts[status] for one in mine) for status in FINISHED},
            f"no_model{side}": float(np.mean(none)),
        }

    def freedom(self, names: Sequence[str], budget: int = 0, cut: str = "") -> float:
        """Degrees of freedom of these optimizers' expected scores; 0 for too few draws."""
        found = []
        for one in self.cuts[cut] if cut else self.bought:
            for name in names:
                draws = one.draws[name]
                n = one.budgets[budget].trials[name]
                found.append(freedom(draws, n) if draws >= FEWEST else 0.0)
        return min(found)


def weights_of(bought: Sequence[Bought]) -> Array:
    """The share of each task in a mean: datasets count equally, and so do a dataset's tasks."""
    names = [one.searches.panel.dataset for one in bought]
    shares = [1 / (names.count(name) * len(set(names))) for name in names]
    return np.array(shares)


def mean_over(bought: Sequence[Bought], names: Sequence[str]) -> Array:
    """(R, budgets, scores): the mean over these optimizers, on average over the tasks."""
    each = [np.mean([one.values[name] for name in names], axis=0) for one in bought]
    mean: Array = np.tensordot(weights_of(bought), each, axes=1)
    return mean


def contested(
    tasks: Tasks, contests: Sequence[Contest]
) -> Iterator[tuple[Contest, str, dict[str, Any]]]:
    """Each contest and score with its numbers."""
    for contest, (j, score) in product(contests, enumerate(SCORES)):
        yield contest, score, numbers(tasks, contest, j)


def numbers(tasks: Tasks, contest: Contest, score: int) -> dict[str, Any]:
    """The numbers of one row, at the budget that decides, at the others, and under each cut."""
    a, b = (mean_over(tasks.bought, side) for side in (contest.members_a, contest.members_b))
    found = difference(tasks, contest, score)
    row: dict[str, Any] = {"value_a": a[0, 0, score], "value_b": b[0, 0, score]}
    row |= ends_of(within_range(found.estimate(), -1, 1)) | {"p": found.p()}
    row |= _population(tasks, contest, score, found)
    better = _improvement(tasks, contest, score)
    row |= within_range(better.estimate(), 0, 1).columns("improvement")
    row["at_budgets"] = tuple(
        (budget.amount, round(one.value, 6), one.sign())
        for i, budget in enumerate(tasks.budgets)
        for one in [difference(tasks, contest, score, i)]
    )
    row["under_cuts"] = tuple(
        (cut, round(one.value, 6), one.sign(2 * LEVEL))
        for cut in tasks.cuts
        for one in [difference(tasks, contest, score, cut=cut)]
    )
    if tasks.uncut:
        row["under_cuts"] += ((UNCUT, np.nan, 0),)
    return row


def difference(
    tasks: Tasks, contest: Contest, score: int, budget: int = 0, cut: str = ""
) -> Uncertain:
    """Of the expected scores of two sides: the bootstrap's variance, and that of data splits."""
    bought = tasks.cuts[cut] if cut else tasks.bought
    a, b = (mean_over(bought, side) for side in (contest.members_a, contest.members_b))
    sampled = (a - b)[:, budget, score]
    df = tasks.freedom(contest.members, budget, cut)
    parts = variances(sampled, bought[0].ways, df, _on_splits(bought, contest, budget, score))
    return Uncertain(float(sampled[0]), parts)


def variances(
    sampled: Array, ways: Mapping[str, slice], df: float, splits: Sequence[float]
) -> tuple[tuple[float, float], ...]:
    """The parts of the variance of an estimate; see ``Uncertain``.

    Args:
        sampled: (R,): as it is, then in every resample.
        ways: Which rows are resampled in which way; see ``analysis.runs.resampling``.
        df: Degrees of freedom of the variance over draws.
        splits: The estimate on each data split; it is their mean. Of one split nothing is known of
            what another would give.
    """
    parts = [(_variance(sampled[ways[DRAWS]]), df)]
    if EXAMPLES in ways:
        of_examples = _variance(sampled[ways[EXAMPLES]]) - _variance(sampled[ways[ANSWERS]])
        parts.append((max(0.0, of_examples), MANY))
    if len(splits) > 1:
        parts.append((_variance(np.array(splits)) / len(splits), len(splits) - 1.0))
    return tuple(parts)


def _variance(sampled: Array) -> float:
    return float(np.var(sampled, ddof=1))


def _on_splits(bought: Sequence[Bought], contest: Contest, budget: int, score: int) -> list[float]:
    """The difference on each data split that all tasks and optimizers have."""
    shared = set.intersection(*(set(one.of_split) for one in bought))
    found = []
    for split in sorted(shared):
        each = [one.of_split[split] for one in bought]
        if all(name in values for values in each for name in contest.members):
            sides = [
                np.mean([[values[name][budget, score] for name in side] for values in each], axis=1)
                for side in (contest.members_a, contest.members_b)
            ]
            found.append(float(weights_of(bought) @ (sides[0] - sides[1])))
    return found


def _improvement(tasks: Tasks, contest: Contest, score: int) -> Uncertain:
    """The mean over all pairs of one optimizer of each side, on average over the tasks."""
    each = []
    for one in tasks.bought:
        names = list(one.values)
        a, b = (
            [names.index(name) for name in side] for side in (contest.members_a, contest.members_b)
        )
        each.append(one.wins[:, score][:, a][:, :, b].mean(axis=(1, 2)))
    sampled = np.tensordot(weights_of(tasks.bought), each, axes=1)
    df = tasks.freedom(contest.members)
    return Uncertain(float(sampled[0]), variances(sampled, tasks.bought[0].wins_ways, df, ()))


def _population(tasks: Tasks, contest: Contest, score: int, found: Uncertain) -> dict[str, float]:
    """The difference for what the units are a sample of: datasets, or else optimizers of a kind.

    With random effects and few units: the variance between units with its own few degrees of
    freedom (Hartung and Knapp 2001), equal weights, and what the units' errors share added. The
    optimizers of both kinds have one variance, as in Student's test of two samples.
    """
    units = _units(tasks, contest, score)
    if not units:
        return dict.fromkeys(("population_low", "population_high", "population_p"), np.nan)
    (of_draws, df), *others = found.parts
    between, freedom_between = _between([sampled[:1] for sampled in units])
    # What the draws do to each unit by itself is in the variance between units already.
    drawn = tasks.bought[0].ways[DRAWS]
    within, _ = _between([sampled[drawn] - sampled[0] for sampled in units])
    parts = ((between, freedom_between), (max(0.0, of_draws - within), df), *others)
    wide = Uncertain(found.value, parts)
    if not wide.half(LEVEL) > found.half(LEVEL):
        wide = found  # of units that happen to lie close: no surer than about themselves
    ends = within_range(wide.estimate(), -1, 1)
    return {"population_low": ends.low, "population_high": ends.high, "population_p": wide.p()}


def _between(units: Sequence[Array]) -> tuple[float, float]:
    """The variance that one or two means have from the spread of their units, and its freedom.

    Args:
        units: (R, k) of each mean; the average over R is taken.
    """
    sizes = [each.shape[1] for each in units]
    freedom = sum(sizes) - len(sizes)
    squares = sum(
        (k - 1) * np.var(each, axis=1, ddof=1) for k, each in zip(sizes, units, strict=True)
    )
    return float(np.mean(squares)) / freedom * sum(1 / k for k in sizes), float(freedom)


def _units(tasks: Tasks, contest: Contest, score: int) -> list[Array]:
    """(R, units) differences on each dataset, or values of each optimizer of each side."""
    if len(tasks.datasets) > 1:
        return [_by_dataset(tasks, contest, score)]
    if min(len(contest.members_a), len(contest.members_b)) > 1:
        return [
            np.stack([mean_over(tasks.bought, [name])[:, 0, score] for name in side], axis=1)
            for side in (contest.members_a, contest.members_b)
        ]
    return []


def _by_dataset(tasks: Tasks, contest: Contest, score: int) -> Array:
    """(R, datasets) differences."""
    each = []
    for name in tasks.datasets:
        mine = [one for one in tasks.bought if one.searches.panel.dataset == name]
        a, b = (mean_over(mine, side) for side in (contest.members_a, contest.members_b))
        each.append((a - b)[:, 0, score])
    return np.stack(each, axis=1)


def agreeing(tasks: Tasks, contest: Contest, score: str) -> int:
    """On how many datasets the difference has the sign of the mean over all of them."""
    each = _by_dataset(tasks, contest, SCORES.index(score))[0]
    return int((np.sign(each) == np.sign(each.mean())).sum())


def with_verdicts(table: pd.DataFrame, family: Sequence[str], margin: float) -> pd.DataFrame:
    """The table with Holm's p-values and verdicts; see ``analysis.stats.testing.judged``.

    A difference that is decided one way here and the other way at another budget *depends on the
    budget*. ``not_under`` names the cuts of the search spaces under which the verdict is lost: a
    difference that is no longer tested to have its sign, or an equality that is no longer one.
    """
    table = judged(table, family, margin)
    decided = table["verdict"].map({"higher": 1, "lower": -1}).fillna(0)
    table["not_under"] = [
        ", ".join(cut for cut, value, found in cuts if _lost(verdict, sign, value, found, margin))
        for verdict, sign, cuts in zip(table["verdict"], decided, table["under_cuts"], strict=True)
    ]
    turned = [
        sign != 0 and any(found == -sign for _, _, found in at)
        for sign, at in zip(decided, table["at_budgets"], strict=True)
    ]
    table.loc[turned, "verdict"] = DEPENDS
    held = table["population_p"].notna()
    table["population_p_holm"] = np.nan
    if held.any():
        table = holm_within(table.drop(columns="population_p_holm"), "population_p", family)
    return table


def _lost(verdict: str, sign: float, value: float, found: int, margin: float) -> bool:
    if verdict == "no difference":
        return np.isnan(value) or (found != 0 and abs(value) > margin)
    return sign != 0 and found != sign
