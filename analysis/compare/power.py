"""What a search would decide: the difference that it finds with a probability of 80%.

A difference is found where it exceeds its standard error by the quantiles of Student's t for the
test (5%, two-sided) and for the power; each part of the variance has its own, as in ``Uncertain``.
The variance of the draws falls with their number, that of data splits with the number of these.
That of test examples stays, so that beyond some number of draws only more examples help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from oodbench.results.predictions import Predictions
from oodbench.results.targets import FEW

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
from .uncertain import MANY

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
        draws: Draws of each optimizer, the fewest that were run.
        searched: Variance of the difference from the draws that were run.
        examples: That from test examples; NaN where no predictions are known.
        splits: That from one split of the data to another; NaN where one was run.
        data_seeds: On how many splits the draws were run.
    """

    budget: int
    draws: int
    searched: float
    examples: float = float("nan")
    splits: float = float("nan")
    data_seeds: int = 1

    def found(self, draws: int, data_seeds: int = 1) -> float:
        """The difference that is found with a probability of ``POWER``; a fraction.

        Args:
            draws: Draws of each optimizer.
            data_seeds: On how many splits they are run. Of one split a comparison covers that split
                alone, so nothing is added for others. Parts that are not known count as 0.
        """
        df = freedom(draws, self.budget)
        if df < 1:
            return float("nan")
        parts = [(self.searched * self.draws / draws, df), (np.nan_to_num(self.examples), MANY)]
        if data_seeds > 1:
            parts.append((np.nan_to_num(self.splits) / data_seeds, data_seeds - 1.0))
        variances, freedoms = np.array(parts).T
        quantiles = stdtrit(freedoms, 1 - LEVEL / 2) + stdtrit(freedoms, POWER)
        return float(np.sqrt((quantiles**2 * variances).sum()))

    def needed(self, target: float = TARGET, data_seeds: int = 1) -> int | None:
        """Draws of each that find ``target``; None where no number does."""
        sizes = np.unique(np.geomspace(INDEPENDENT * self.budget, MOST, 300).astype(int))
        return next((int(n) for n in sizes if self.found(n, data_seeds) <= target), None)


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

    Of each panel the pair of optimizers with the median error, on as many data splits as were run;
    p-values are not corrected for the number of pairs. See the module for the method.

    Args:
        pairs, rule, predictions, settings: See ``analysis.compare_optimizers``.
        draws: Draws of each optimizer's search. Default: as many as there are.
        target: A difference that one would act on; a fraction.

    Returns:
        A row per dataset, test environments and algorithm: ``budget`` (draws of a search that
        selects), ``draws``, ``searched``, ``examples`` and ``splits`` (variance of the difference
        from so many draws, from test examples, and from one data split to another; missing where
        not known), ``data_seeds`` (the number of splits), ``found`` (the difference that is found
        with a probability of 80%), ``target`` and ``needed`` (draws that find it; missing where no
        number does). No rows where no pair has an interval.

    Raises:
        RequestError, UnknownNameError: As for ``analysis.compare_optimizers``.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    rows = []
    for one, found in typical_power(estimation):
        size = found.draws if draws is None else draws
        needed = {"target": target, "needed": found.needed(target, found.data_seeds)}
        known = replace(found, draws=size, searched=found.searched * found.draws / size)
        finds = known.found(size, found.data_seeds)
        rows.append({**one.key, **vars(known), "found": finds, **needed})
    columns = [*GROUP, *Power.__dataclass_fields__, "found", "target", "needed"]
    return pd.DataFrame(rows, columns=columns)


def typical_power(estimation: Estimation) -> list[tuple[Searches, Power]]:
    """The power on each panel, of the pair of optimizers with the median error."""
    found = []
    for one in estimation.searches:
        contests = every_pair(one.trials)
        if not contests:
            continue
        tasks = estimation.tasks([one], one.optimizers, full=False)
        each = [_power(tasks, contest) for contest in contests]
        known = sorted((p for p in each if p), key=lambda p: p.found(p.draws, p.data_seeds))
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
    known = Power(n, draws, searched)
    for variance, df in others:
        if df == MANY:
            known = replace(known, examples=variance)
        else:  # of the mean over the splits
            number = int(df) + 1
            known = replace(known, splits=variance * number, data_seeds=number)
    return known


def power_sentences(estimation: Estimation) -> tuple[str, ...]:
    """What the searches decide between two optimizers, and what 2 points would take.

    A sentence for each panel; of a dataset and algorithm with many panels, for the one in the
    middle.
    """
    places: dict[tuple[str, str], list[tuple[Searches, Power]]] = {}
    for one, power in typical_power(estimation):
        places.setdefault((one.panel.dataset, one.panel.algorithm), []).append((one, power))
    lines = []
    for found in places.values():
        finds = [100 * power.found(power.draws, power.data_seeds) for _, power in found]
        middle = sorted(range(len(found)), key=finds.__getitem__)[len(found) // 2]
        many = len(found) > FEW
        among = f", in the middle of {len(found)}" if many else ""
        for i in [middle] if many else range(len(found)):
            one, power = found[i]
            lines.append(
                f"{group_name(*one.panel.key)}{among}: {power.draws:,} draws of each find "
                f"{finds[i]:.1f} points; {_words(power)}."
            )
    return tuple(lines)


def _words(power: Power) -> str:
    needed = power.needed(data_seeds=power.data_seeds)
    goal = f"{100 * TARGET:g} points"
    if needed is None:
        more = "test examples" if power.data_seeds == 1 else "data splits, or more test examples"
        return f"no number of draws finds {goal}: it takes more {more}"
    return f"{goal} take {needed:,} draws"
