"""Who is compared with whom at which budget, and the numbers of it in every resample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np

from oodbench.errors import RequestError, UnknownNameError

from ..runs.searches import Searches
from ..runs.trials import SCORES
from ..stats.best_of import freedom, improvement, selected
from ..stats.intervals import Array

KINDS = ("adaptive", "non-adaptive")

STATISTICS = ("value_a", "value_b", "difference", "improvement", "cliffs_delta")
"""Expected scores of the selected runs and a - b of them; the probability that a's selected run
scores higher; P(a > b) - P(a < b) of single trials."""

EIGHTH = 8
"""The budget that is compared by default is this part of the least: see ``best_of.freedom``."""

FEWEST = 5
"""Fewer configurations than this give no interval: all of one side may lie above all of the other
by chance, and no resample would show it."""

Unit = Literal["trials", "gradient_evaluations"]
UNITS = ("trials", "gradient_evaluations")


@dataclass(frozen=True)
class Contest:
    """Two sides, each one optimizer or several that are averaged."""

    a: str
    b: str
    members_a: tuple[str, ...]
    members_b: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """Those of both sides."""
        return self.members_a + self.members_b


def every_pair(names: Sequence[str]) -> list[Contest]:
    """Each two optimizers, in the order given."""
    return [Contest(a, b, (a,), (b,)) for a, b in combinations(names, 2)]


def against(names: Sequence[str], baseline: str | None) -> list[Contest]:
    """Each optimizer against the baseline, or without one against the mean of all others."""
    if baseline is not None:
        others = [name for name in names if name != baseline]
        return [Contest(a, baseline, (a,), (baseline,)) for a in others if baseline in names]
    rest = {a: tuple(name for name in names if name != a) for a in names}
    return [Contest(a, "the others", (a,), others) for a, others in rest.items() if others]


def both_kinds(one: Searches) -> list[Contest]:
    """The two kinds of a panel's optimizers; empty unless it has both."""
    a, b = (tuple(m.optimizer for m in one.trials if m.kind == kind) for kind in KINDS)
    return [Contest(*KINDS, a, b)] if a and b else []


def trials_for(one: Searches, budget: float | None, unit: Unit) -> tuple[float, dict[str, int]]:
    """The budget, and how many trials each optimizer gets for it.

    Raises:
        RequestError: It pays for no trial of some optimizer, or for more than some has; or the
            gradient evaluations of some are not known.
        UnknownNameError: No such unit.
    """
    if unit not in UNITS:
        raise UnknownNameError("unit", unit, UNITS)
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


def statistics(
    one: Searches,
    contests: Sequence[Contest],
    n: Mapping[str, int],
    weights: Mapping[str, Array],
) -> Array:
    """What is compared, (resamples, contests, scores, ``STATISTICS``).

    Args:
        one: The panel.
        contests: Who is compared.
        n: Optimizer -> trials of a search.
        weights: Optimizer -> (resamples, N): how often each trial is there.
    """
    trials = {mine.optimizer: mine for mine in one.trials}
    chosen = {name: selected(t.rank, n[name], weights[name]) for name, t in trials.items()}
    single = {name: selected(t.rank, 1, weights[name]) for name, t in trials.items()}
    result = np.empty((len(chosen[one.trials[0].optimizer]), len(contests), 2, len(STATISTICS)))
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


def freedoms(one: Searches, contest: Contest, n: Mapping[str, int]) -> dict[str, float]:
    """Statistic -> degrees of freedom of its interval; 0 for none."""
    sides = [mine for mine in one.trials if mine.optimizer in contest.members]
    if min(mine.configurations for mine in sides) < FEWEST:
        return dict.fromkeys(STATISTICS, 0.0)
    best_of_n = min(freedom(mine.configurations, n[mine.optimizer]) for mine in sides)
    single = min(mine.configurations - 1.0 for mine in sides)
    return {**dict.fromkeys(STATISTICS, best_of_n), "cliffs_delta": single}
