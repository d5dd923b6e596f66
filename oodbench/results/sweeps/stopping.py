"""Searches that stop when decided: what is asked of them, and when they are looked at.

Draws come in rounds. After each one the statements are tested by all draws so far; see
``analysis.decisions``. The looks are fixed in advance, and follow from the budget alone, but for
the last one, which is at ``most``: a higher one adds looks in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

HEADLINE = 8
"""The budget of which the statements are, if none is given."""
SEARCHES = 4
"""The first look is at the draws of so many independent searches: fewer give no interval."""
GROWTH = 1.25
"""The draws of a look, as a multiple of those of the look before."""
LEVEL = 0.05
"""The probability that any statement of a sweep is wrongly decided, at most."""


@dataclass(frozen=True)
class Stopping:
    """When a search stops.

    Attributes:
        among: Optimizers of which each two are compared.
        margin: Accuracies closer than this are no different; a fraction.
        most: Draws of each optimizer, at most.
        budget: Draws of one search: the statements are about the run that is selected of so many.
        drop: Whether an optimizer that is decided to be lower than another is drawn no further.
        groups: Pairs of a dataset and an algorithm in the sweep, each of which is decided for
            itself; all share ``LEVEL``.
    """

    among: tuple[str, ...]
    margin: float
    most: int
    budget: int
    drop: bool = False
    groups: int = 1

    @classmethod
    def of(cls, search: Mapping[str, Any], optimizers: Sequence[str], groups: int) -> "Stopping":
        """What the key ``search`` of a sweep file asks.

        Args:
            search: Its keys and values.
            optimizers: Names of the sweep's optimizers: those that are compared if none is named.
            groups: See above.
        """
        return cls(
            among=tuple(search.get("among") or optimizers),
            margin=search["margin"],
            most=search["most"],
            budget=search.get("budget") or HEADLINE,
            drop=bool(search.get("drop")),
            groups=groups,
        )

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each two of the optimizers, in their order."""
        return tuple(combinations(self.among, 2))

    @property
    def level(self) -> float:
        """The level of one statement (Bonferroni)."""
        return LEVEL / (len(self.pairs) * self.groups)

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The numbers of draws at which the statements are tested."""
        found = [SEARCHES * self.budget]
        while (following := int(GROWTH * found[-1])) < self.most:
            found.append(following)
        return (*found, *([self.most] if found[-1] < self.most else []))


@dataclass(frozen=True)
class Group:
    """What is decided together: the studies on one dataset with one algorithm.

    Attributes:
        dataset: Name of the dataset.
        algorithm: Name of the algorithm.
        optimizers: Names of the optimizers that are drawn.
        runs: Runs of one draw of one optimizer: one for each choice of test environments, training
            seed and split of the data.
    """

    dataset: str
    algorithm: str
    optimizers: tuple[str, ...]
    runs: int
