"""The contests: which optimizers are compared with which."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..runs.searches import Trials

KINDS = ("adaptive", "non-adaptive")


@dataclass(frozen=True)
class Contest:
    """Two sides, each one optimizer or several that are averaged."""

    a: str
    b: str
    members_a: tuple[str, ...]
    members_b: tuple[str, ...]

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The members of each side."""
        return self.members_a, self.members_b

    @property
    def members(self) -> tuple[str, ...]:
        """The members of both sides."""
        return self.members_a + self.members_b


def every_pair(trials: Sequence[Trials]) -> list[Contest]:
    """Each two optimizers, in their order."""
    names = [one.optimizer for one in trials]
    return [Contest(a, b, (a,), (b,)) for a, b in combinations(names, 2)]


def against(trials: Sequence[Trials], baseline: str | None) -> list[Contest]:
    """Each optimizer against the baseline, or without one against the mean of all others."""
    names = [one.optimizer for one in trials]
    if baseline is not None:
        others = [name for name in names if name != baseline]
        return [Contest(a, baseline, (a,), (baseline,)) for a in others if baseline in names]
    rest = {a: tuple(name for name in names if name != a) for a in names}
    return [Contest(a, "the others", (a,), others) for a, others in rest.items() if others]


def both_kinds(trials: Sequence[Trials]) -> list[Contest]:
    """The two kinds; empty unless both are there."""
    a, b = (tuple(one.optimizer for one in trials if one.kind == kind) for kind in KINDS)
    return [Contest(*KINDS, a, b)] if a and b else []
