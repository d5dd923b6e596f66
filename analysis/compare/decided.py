"""Statements about pairs of optimizers, tested again and again while their searches go on.

What a search has decided follows from its runs alone: every look is replayed, in order, by the
draws that it had. So it does not matter who looks, how often, or when.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn
from oodbench.results.sweeps.stopping import Group, Stopping

from ..runs.trials import FINISHED, SCORES
from ..stats.best_of import RESAMPLES
from ..stats.sequential import quantile
from .comparison import Comparison
from .contests import Contest
from .differences import Differences
from .estimation import Estimation
from .uncertain import Uncertain

HIGHER, LOWER, EQUAL = "higher", "lower", "no difference"
UNDECIDED, DROPPED = "undecided", "dropped"
OOD = SCORES.index("ood")
RULE = "id_val"

SPREAD = 3
"""Degrees of freedom of the spread of a best of n, for each search of n among the draws. In 1,000
simulated searches of equal, skewed optimizers this errs in half as many as the level allows."""

DRAW = "draw_number"
"""The column of a table of runs that says which draw of its search each run is of, from 0."""


@dataclass(frozen=True)
class Statement:
    """What is known of one pair: the expected OOD accuracy of a's selected run less that of b's.

    Attributes:
        a, b: The optimizers.
        outcome: ``higher``, ``lower`` or ``no difference``; ``undecided``; or ``dropped``, of a
            pair that was undecided when one of them was drawn no further.
        draws: Draws of each at the look that decided, or at the last one; 0 before the first.
        difference, low, high: At that look; NaN before the first.
        projected: Draws at which it would be decided if difference and spread stay as they are;
            of a decided one those that it took. NaN where no number of draws would.
    """

    a: str
    b: str
    outcome: str = UNDECIDED
    draws: int = 0
    difference: float = np.nan
    low: float = np.nan
    high: float = np.nan
    projected: float = np.nan

    @property
    def decided(self) -> bool:
        """Whether it holds or does not."""
        return self.outcome in (HIGHER, LOWER, EQUAL)


@dataclass(frozen=True)
class Standing:
    """How far a group of searches is.

    Attributes:
        group: The searches.
        statements: One a pair of optimizers, in the order of ``Stopping.pairs``.
        looked: Draws at the last look; 0 before the first.
        wanted: Optimizer -> draws that it is to have for the next look; empty once the search is
            over.
        seen: What each look found of each statement that was undecided until then.
        stopping: What is asked.
    """

    group: Group
    statements: tuple[Statement, ...]
    looked: int
    wanted: Mapping[str, int]
    seen: tuple[Statement, ...]
    stopping: Stopping


def decisions(
    pairs: pd.DataFrame,
    stopping: Stopping,
    groups: Sequence[Group],
    predictions: Sequence[Predictions] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Standing]:
    """What searches have decided so far, and which draws they want next.

    For each group and pair, the difference is that of ``analysis.compare_optimizers`` at the
    budget of ``stopping``, over the test environments of the dataset. At each look its interval is
    one of a confidence sequence (``analysis.stats.sequential``) over the draws; what examples and
    data splits add to its error is the same at each look, and has its ordinary quantile. The first
    look at which the interval lies within the margin decides for *no difference*, the first at
    which it excludes 0 for *higher* or *lower*. With probability 95% no statement of the sweep is
    decided wrongly, at whichever look the search ends.

    Args:
        pairs: Runs of the sweep, as from ``oodbench.results.query.pairs``, with the column
            ``draw_number``.
        stopping: What is asked.
        groups: The searches that are decided together.
        predictions: What the runs predicted; see ``analysis.compare_optimizers``.
        resamples, seed: Of the bootstrap.
    """
    rows = drawn(pairs)
    rows = rows[rows["status"].isin(FINISHED)]
    settings = Comparison(
        RULE, budget=stopping.budget, predictions=predictions, resamples=resamples, seed=seed
    )
    return [_replayed(rows, stopping, group, settings) for group in groups]


def _replayed(
    rows: pd.DataFrame, stopping: Stopping, group: Group, settings: Comparison
) -> Standing:
    mine = rows[(rows["dataset"] == group.dataset) & (rows["algorithm"] == group.algorithm)]
    statements = {pair: Statement(*pair) for pair in stopping.pairs}
    going, looked, wanted, history = list(group.optimizers), 0, dict[str, int](), list[Statement]()
    for look in stopping.looks:
        seen = mine[mine[DRAW] < look]
        runs = seen.groupby("optimizer")["run"].nunique()
        _check_one_search(runs, look * group.runs, group)
        if any(runs.get(name, 0) < look * group.runs for name in going):
            wanted = dict.fromkeys(going, look)
            break
        looked = look
        asked = [pair for pair, one in statements.items() if one.outcome == UNDECIDED]
        statements.update(_looked(seen, stopping, asked, look, settings))
        history += [statements[pair] for pair in asked]
        if stopping.drop:
            below = {one.b if one.outcome == HIGHER else one.a for one in _unequal(statements)}
            going = [name for name in going if name not in below]
            for pair, one in statements.items():
                if one.outcome == UNDECIDED and not below.isdisjoint(pair):
                    statements[pair] = _with_outcome(one, DROPPED)
        if not any(one.outcome == UNDECIDED for one in statements.values()):
            break
    return Standing(group, tuple(statements.values()), looked, wanted, tuple(history), stopping)


def _check_one_search(runs: "pd.Series[int]", most: int, group: Group) -> None:
    """Raise RequestError if an optimizer has more runs than its draws can have."""
    for name, count in runs.items():
        if count > most:
            raise RequestError(
                f"{name} has {count:,} runs on {group.dataset} with {group.algorithm}, but "
                f"{most:,} were drawn: the sweep was edited, and has runs of another search, too. "
                "Give the edited sweep a name of its own."
            )


def _unequal(statements: Mapping[Any, Statement]) -> list[Statement]:
    return [one for one in statements.values() if one.outcome in (HIGHER, LOWER)]


def _with_outcome(one: Statement, outcome: str) -> Statement:
    return Statement(**{**vars(one), "outcome": outcome, "projected": np.nan})


def _looked(
    seen: pd.DataFrame,
    stopping: Stopping,
    asked: Sequence[tuple[str, str]],
    look: int,
    settings: Comparison,
) -> Iterator[tuple[tuple[str, str], Statement]]:
    """The statements about the pairs that are asked, at one look."""
    members = list(dict.fromkeys(name for pair in asked for name in pair))
    estimation = Estimation.of(seen[seen["optimizer"].isin(members)], settings)
    tasks = estimation.tasks(estimation.searches, members, full=False)
    for a, b in asked:
        found = Differences(tasks, Contest(a, b, (a,), (b,))).of(OOD)
        yield (a, b), judge(a, b, found, stopping, look)


def judge(a: str, b: str, found: Uncertain, stopping: Stopping, look: int) -> Statement:
    """What a look says of the difference of a and b."""
    half = half_width(found, stopping, look, look)
    low, high = found.value - half, found.value + half
    outcome = UNDECIDED
    if half < stopping.margin - abs(found.value):
        outcome = EQUAL
    elif half < abs(found.value):
        outcome = HIGHER if found.value > 0 else LOWER
    return Statement(a, b, outcome, look, found.value, low, high, _projected(found, stopping, look))


def half_width(found: Uncertain, stopping: Stopping, look: int, draws: int) -> float:
    """Half the width of the interval at ``draws``, from what is estimated at a look."""
    (variance, _), *others = found.parts
    first, level = stopping.looks[0], stopping.level
    df = SPREAD * draws / stopping.budget - 1
    error = quantile(draws, first, level, df) * sqrt(variance * look / draws)
    fixed = sum(float(stdtrit(df, 1 - level / 2)) ** 2 * each for each, df in others)
    return sqrt(error**2 + fixed)


def _projected(found: Uncertain, stopping: Stopping, look: int) -> float:
    """Draws at which the interval would decide, among numbers that grow by a twentieth."""
    distance = max(abs(found.value), stopping.margin - abs(found.value))
    draws = look
    while draws < 1e6:
        if half_width(found, stopping, look, draws) < distance:
            return float(draws)
        draws = int(draws * 1.05) + 1
    return np.nan
