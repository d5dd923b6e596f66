"""How fast the models of studies end: the same pace as ``status --watch``, also of what was."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from oodbench.verbs.display import Pace

MEMORY = 3600.0
"""Seconds before the first look whose models still count for the pace."""
LUMP = 2.0
"""Models that end within so many seconds of the first of them are a lump."""


class Paces:
    """The pace of each group of models, from when they finished on the database's clock."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._ended: Counter[str] = Counter()

    def add(self, now: float, finished: Iterable[tuple[float, str]]) -> None:
        """More models have finished.

        Args:
            now: The time on that clock.
            finished: When each of them did, and the group that it belongs to.
        """
        by_group: dict[str, list[float]] = {}
        for at, group in finished:
            if at > now - MEMORY:
                by_group.setdefault(group, []).append(at)
        for group, times in by_group.items():
            for at, n in lumps(times):
                self._ended[group] += n
                pace = self._paces.setdefault(group, Pace(at, self._ended[group]))
                pace.update(at, self._ended[group])

    def of(self, group: str, now: float, models: int) -> Mapping[str, str]:
        """The ``rate`` and the time ``left`` for so many models; empty where not known."""
        pace = self._paces.get(group)
        if pace is None or pace.rate() == 0 or not models:
            return {"rate": "", "left": ""}
        rate, *left = pace.texts(now, models)
        return {"rate": rate, "left": left[0].removesuffix(" left") if left else ""}


def lumps(times: Iterable[float]) -> Iterator[tuple[float, int]]:
    """When the last model of each lump ended, and how many it has."""
    lump: list[float] = []
    for at in sorted(times):
        if lump and at > lump[0] + LUMP:
            yield lump[-1], len(lump)
            lump = []
        lump.append(at)
    if lump:
        yield lump[-1], len(lump)
