"""What is estimated of a table of runs, once for all comparisons that are made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from oodbench.results.select import RUN_RULES

from ..runs.names import group_name
from ..runs.resampling import Resampling
from ..runs.searches import Searches
from .budgets import Budget, budgets_of, trials_of_each
from .comparison import Comparison
from .edges import rising_edges
from .estimates import Tasks
from .expected import Bought, bought
from .ranges import positions
from .spaces import PARTS, cuts

CUT_RESAMPLES = 50
"""Resamples of the draws that a cut keeps: they decide the sign of a difference."""

Key = tuple[Any, ...]


@dataclass
class Estimation:
    """The searches of a table, and what budgets buy on each panel: computed when first asked for.

    Attributes:
        searches: Searches of every panel.
        comparison: How they are compared.
        resampling: The joint weights.
        refused: Panel, in words -> why its search spaces are not cut.
    """

    searches: tuple[Searches, ...]
    comparison: Comparison
    resampling: Resampling
    refused: dict[str, str] = field(default_factory=dict)
    _bought: dict[Key, Bought] = field(default_factory=dict, repr=False)
    _cut: dict[Key, dict[str, Bought]] = field(default_factory=dict, repr=False)
    _edges: dict[Key, dict[str, str]] = field(default_factory=dict, repr=False)
    _places: dict[Key, pd.DataFrame] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, pairs: pd.DataFrame, comparison: Comparison) -> "Estimation":
        """Make it from a table of runs; see ``analysis.runs.searches.searches`` for errors."""
        return cls(comparison.searches(pairs), comparison, comparison.resampling(pairs))

    def tasks(
        self, found: Sequence[Searches], members: Sequence[str], *, full: bool = True
    ) -> Tasks:
        """These panels as the tasks of one comparison of these optimizers.

        Without ``full``, where it is not known already, only what the deciding budget buys.
        """
        budgets = budgets_of(found, self.comparison, members)
        if not full and not all(_key(one, budgets) in self._bought for one in found):
            first = budgets[:1]
            each = [bought(one, first, self.resampling, wins=False) for one in found]
            return Tasks(each, self.comparison)
        each = [self._of(one, budgets) for one in found]
        cut = [self._cuts_of(one, budgets) for one in found]
        shared = [name for name in cut[0] if all(name in others for others in cut)]
        uncut = any(group_name(*one.panel.key) in self.refused for one in found)
        parts = {name: [one[name] for one in cut] for name in shared}
        edges = {name: edge for one in found for name, edge in self._edges_of(one).items()}
        return Tasks(each, self.comparison, parts, uncut, edges)

    def _edges_of(self, one: Searches) -> dict[str, str]:
        """Optimizer -> the ends of its ranges that its best scores rise towards."""
        if one.panel.key not in self._edges:
            column = RUN_RULES[self.comparison.rule]
            places = self._places_of(one)
            self._edges[one.panel.key] = rising_edges(one.runs, column, places)
        return self._edges[one.panel.key]

    def _places_of(self, one: Searches) -> pd.DataFrame:
        """Where its trials lie in their ranges."""
        if one.panel.key not in self._places:
            self._places[one.panel.key] = positions(one.runs)
        return self._places[one.panel.key]

    def _of(self, one: Searches, budgets: Sequence[Budget]) -> Bought:
        key = _key(one, budgets)
        if key not in self._bought:
            self._bought[key] = bought(one, budgets, self.resampling)
        return self._bought[key]

    def _cuts_of(self, one: Searches, budgets: Sequence[Budget]) -> dict[str, Bought]:
        """The expected scores of the draws that each cut keeps; see ``budget_under_cuts``."""
        first = budget_under_cuts(one, budgets[0])
        key = (one.panel.key, first.amount, *first.trials.items())
        if key not in self._cut:
            most = max(first.trials.values())
            found = cuts(one.runs, self.comparison.rule, most, self._places_of(one))
            if found.refused:
                self.refused[group_name(*one.panel.key)] = found.refused
            fewer = self.resampling.first(CUT_RESAMPLES).of_draws()
            self._cut[key] = {
                name: bought(one, [first], fewer, wins=False, kept=kept)
                for name, kept in found.kept.items()
            }
        return self._cut[key]


def budget_under_cuts(one: Searches, budget: Budget) -> Budget:
    """The budget that decides, or the part of it for which the parts of each space have the draws.

    A cut leaves half of the draws. At half of the budget, few draws still say on which side of 0 a
    difference lies there.
    """
    share = min(
        1.0, *(trials_of_each(one, name) / (PARTS * n) for name, n in budget.trials.items())
    )
    return Budget(
        share * budget.amount, {name: max(1, int(share * n)) for name, n in budget.trials.items()}
    )


def _key(one: Searches, budgets: Sequence[Budget]) -> Key:
    return (one.panel.key, *((b.amount, *b.trials.items()) for b in budgets))
