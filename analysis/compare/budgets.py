"""How many trials each optimizer may spend: fixed in advance, never a share of what was run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.errors import RequestError

from ..runs.searches import Searches
from ..stats.best_of import INDEPENDENT
from .comparison import Comparison

HEADLINE = 8
"""The budget that decides, where every search has four times as many trials."""

SMALLEST = 4


@dataclass(frozen=True)
class Budget:
    """A budget at which optimizers are compared.

    Attributes:
        amount: Amount in the unit of the comparison.
        trials: Optimizer -> how many trials it pays for.
    """

    amount: float
    trials: Mapping[str, int]


def budgets_of(
    found: Sequence[Searches], comparison: Comparison, members: Sequence[str]
) -> tuple[Budget, ...]:
    """The budgets at which these optimizers are compared, the one that decides first.

    That is the one asked for, or 8 trials, or 4 where the smallest search has fewer than 32, or a
    single trial where it has fewer than 16; then the others of 4, 8, 16, ... up to a quarter of the
    smallest search. Optimizers with fewer than 16 trials do not count where two others have more:
    they are not compared. In another unit the same numbers count mean trials of all optimizers.

    Raises:
        RequestError: The budget asked for pays for no trial of some optimizer, or for more than
            some has; or the costs of some are not known.
    """
    costs = {name: _cost(found, name, comparison.unit) for name in members}
    if not np.isfinite(list(costs.values())).all() or min(costs.values()) <= 0:
        raise RequestError(
            f"A budget in {comparison.unit.replace('_', ' ')} needs the column {comparison.unit} "
            "for runs of every optimizer. Pass what oodbench.results.query.pairs returns, or count "
            "in trials."
        )
    draws = {name: min(trials_of_each(one, name) for one in found) for name in members}
    mean = 1.0 if comparison.unit == "trials" else float(np.mean(list(costs.values())))
    enough = {name: size for name, size in draws.items() if size >= INDEPENDENT * SMALLEST}
    counted = enough if len(enough) > 1 else draws
    steps = [SMALLEST * 2**i for i in range(30)]
    ladder = [one for n in steps if (one := _allowed(n * mean, costs, counted)) is not None]
    if comparison.budget is not None:
        asked = _asked(comparison.budget, comparison.unit, costs, draws)
        return (asked, *(one for one in ladder if one.amount != asked.amount))
    if not ladder:
        single = max(mean, *costs.values())
        return (Budget(single, {name: int(single / cost) for name, cost in costs.items()}),)
    headline = next((one for one in ladder if one.amount == HEADLINE * mean), ladder[0])
    return (headline, *(one for one in ladder if one is not headline))


def _cost(found: Sequence[Searches], optimizer: str, unit: str) -> float:
    """What a trial costs, on the task where it costs most."""
    if unit == "trials":
        return 1.0
    return max(one.of(optimizer).costs[unit] for one in found)


def trials_of_each(one: Searches, optimizer: str) -> int:
    """Trials of the optimizer on one split of the data."""
    mine = one.of(optimizer)
    return len(mine.runs) // len(mine.splits)


def _allowed(amount: float, costs: Mapping[str, float], draws: Mapping[str, int]) -> Budget | None:
    """The budget, where it pays for a trial of each and for at most a quarter of its search."""
    trials = _paid(amount, costs)
    fits = all(1 <= trials[name] <= size // INDEPENDENT for name, size in draws.items())
    return Budget(amount, trials) if fits else None


def _paid(amount: float, costs: Mapping[str, float]) -> dict[str, int]:
    # Rounding must not take away the last trial that is just paid for.
    return {name: int(amount / cost * (1 + 1e-9)) for name, cost in costs.items()}


def _asked(
    amount: float, unit: str, costs: Mapping[str, float], draws: Mapping[str, int]
) -> Budget:
    trials = _paid(amount, costs)
    least = min(draws[name] * cost for name, cost in costs.items())
    if min(trials.values()) < 1 or amount > least * (1 + 1e-9):
        raise RequestError(
            "A budget is at least one trial of every optimizer and at most what each has trained, "
            f"here {max(costs.values()):,.6g} to {least:,.6g} {unit.replace('_', ' ')}, but it is "
            f"{amount:,.6g}."
        )
    return Budget(amount, trials)
