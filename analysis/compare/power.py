"""What a search would decide: the difference that it finds with a probability of 80%.

A difference is found where it exceeds its standard error by the quantiles of Student's t for the
test (5%, two-sided) and for the power. The variance of the draws falls with their number; that of
test examples and data splits does not, so that beyond some number of draws only more examples or
splits help.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from oodbench.results.predictions import Predictions

from ..runs.columns import GROUP
from ..runs.names import group_name
from ..runs.searches import Searches
from ..runs.trials import SCORES
from ..stats.best_of import INDEPENDENT, freedom
from ..stats.testing import LEVEL
from .comparison import Comparison, Settings
from .contests import Contest, every_pair
from .differences import Differences
from .estimates import Tasks
from .estimation import Estimation

POWER = 0.8
TARGET = 0.02
"""Two points of accuracy: a difference that many would act on."""

MOST = 100_000
"""Draws of each optimizer; what takes more is out of reach."""


@dataclass(frozen=True)
class Power:
    """What a comparison of two sides could decide.

    Attributes:
        budget: Draws of a search.
        draws: Of each optimizer, the fewest that were run.
        searched: Variance of the difference from the draws that were run.
        fixed: That from test examples and data splits.
    """

    budget: int
    draws: int
    searched: float
    fixed: float

    def found(self, draws: int) -> float:
        """The difference that so many draws find with a probability of ``POWER``; a fraction."""
        df = freedom(draws, self.budget)
        if df < 1:
            return float("nan")
        quantiles = stdtrit(df, 1 - LEVEL / 2) + stdtrit(df, POWER)
        return float(quantiles * np.sqrt(self.searched * self.draws / draws + self.fixed))

    def needed(self, target: float = TARGET) -> int | None:
        """Draws of each that find ``target``; None where no number does."""
        sizes = np.unique(np.geomspace(INDEPENDENT * self.budget, MOST, 300).astype(int))
        return next((int(size) for size in sizes if self.found(size) <= target), None)


def power(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    *,
    draws: int | None = None,
    target: float = TARGET,
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """What searches like these would decide between two optimizers, in OOD accuracy.

    Of each panel the pair of optimizers with the median error; p-values are not corrected for the
    number of pairs. See the module for the method.

    Args:
        pairs, rule, predictions, settings: As for ``analysis.compare_optimizers``.
        draws: Of each optimizer's search. Default: as many as there are.
        target: A difference that one would act on; a fraction.

    Returns:
        A row per dataset, test environments and algorithm: ``budget`` (draws of a search that
        selects), ``draws``, ``searched`` and ``fixed`` (variance of the difference from so many
        draws, and from test examples and data splits), ``found`` (the difference that they find
        with a probability of 80%), ``target`` and ``needed`` (draws that find it; missing where no
        number does). No rows where no pair has an interval.

    Raises:
        RequestError, UnknownNameError: As for ``analysis.compare_optimizers``.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    rows = []
    for one, found in typical_power(estimation):
        size = found.draws if draws is None else draws
        needed = {"target": target, "needed": found.needed(target)}
        searched = found.searched * found.draws / size
        known = vars(Power(found.budget, size, searched, found.fixed))
        rows.append({**one.key, **known, "found": found.found(size), **needed})
    columns = [*GROUP, *Power.__dataclass_fields__, "found", "target", "needed"]
    return pd.DataFrame(rows, columns=columns)


def typical_power(estimation: Estimation) -> list[tuple[Searches, Power]]:
    """Of each panel: the power of the pair of optimizers with the median error."""
    found = []
    for one in estimation.searches:
        contests = every_pair(one.trials)
        if not contests:
            continue
        tasks = estimation.tasks([one], one.optimizers, full=False)
        each = [_power(tasks, contest) for contest in contests]
        known = sorted((p for p in each if p), key=lambda p: p.searched + p.fixed)
        if known:
            found.append((one, known[len(known) // 2]))
    return found


def _power(tasks: Tasks, contest: Contest) -> Power | None:
    """The power of one comparison in OOD accuracy; None where it has no interval."""
    n = max(tasks.budgets[0].trials[name] for name in contest.members)
    draws = min(one.draws[name] for one in tasks.bought for name in contest.members)
    (searched, df), *others = Differences(tasks, contest).of(SCORES.index("ood")).parts
    if df < 1:
        return None
    return Power(n, draws, searched, sum(variance for variance, _ in others))


def power_sentences(estimation: Estimation) -> tuple[str, ...]:
    """What each panel's search decides between two optimizers, and what 2 points would take."""
    return tuple(
        f"{group_name(*one.panel.key)}: {power.draws:,} draws of each find "
        f"{100 * power.found(power.draws):.1f} points; {_words(power)}."
        for one, power in typical_power(estimation)
    )


def _words(power: Power) -> str:
    needed = power.needed()
    goal = f"{100 * TARGET:g} points"
    if needed is None:
        return f"no number of draws finds {goal}: it takes more test examples or data splits"
    return f"{goal} take {needed:,} draws"
