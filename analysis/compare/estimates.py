"""What budgets buy on the tasks of one comparison, and the average over them.

A task is a panel: a dataset with its test environments, for one algorithm. The environments of a
dataset are averaged first, so that each dataset counts once. The resamples of all tasks have the
same weights of draws and of examples, so an error knows what tasks and optimizers share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..runs.trials import FINISHED
from ..stats.best_of import freedom
from ..stats.intervals import Array
from .budgets import Budget
from .comparison import Comparison
from .expected import Bought

FEWEST = 5
"""Fewer draws than this give no interval: all of one side may lie above all of the other by
chance, and no resample would show it."""


@dataclass(frozen=True)
class Tasks:
    """The tasks of one comparison.

    Attributes:
        bought: What budgets buy on each, at the same budgets.
        comparison: How they are compared.
        cuts: Name of a cut of the search spaces -> the same, of the draws that it keeps.
        uncut: Whether there are too few draws on some task to cut its spaces.
        edges: Optimizer -> the ends of its ranges towards which its best scores rise on some task.
    """

    bought: Sequence[Bought]
    comparison: Comparison
    cuts: Mapping[str, Sequence[Bought]] = field(default_factory=dict)
    uncut: bool = False
    edges: Mapping[str, str] = field(default_factory=dict)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The one that decides, then the others."""
        return self.bought[0].budgets

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the datasets."""
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
