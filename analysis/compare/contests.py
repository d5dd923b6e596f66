"""Who is compared with whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..runs.searches import Searches

KINDS = ("adaptive", "non-adaptive")


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


def every_pair(one: Searches) -> list[Contest]:
    """Each two optimizers of a panel, in its order."""
    return [Contest(a, b, (a,), (b,)) for a, b in combinations(one.optimizers, 2)]


def against(one: Searches, baseline: str | None) -> list[Contest]:
    """Each optimizer against the baseline, or without one against the mean of all others."""
    names: Sequence[str] = one.optimizers
    if baseline is not None:
        others = [name for name in names if name != baseline]
        return [Contest(a, baseline, (a,), (baseline,)) for a in others if baseline in names]
    rest = {a: tuple(name for name in names if name != a) for a in names}
    return [Contest(a, "the others", (a,), others) for a, others in rest.items() if others]


def both_kinds(one: Searches) -> list[Contest]:
    """The two kinds of a panel's optimizers; empty unless it has both."""
    a, b = (tuple(m.optimizer for m in one.trials if m.kind == kind) for kind in KINDS)
    return [Contest(*KINDS, a, b)] if a and b else []
