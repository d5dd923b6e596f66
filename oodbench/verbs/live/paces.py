"""How fast the models of studies end: the same pace as ``status --watch``, also of what was."""

from collections import Counter
from collections.abc import Iterable, Mapping

from oodbench.verbs.display import Pace

MEMORY = 3600.0
"""Seconds before the first look from which models still tell how fast they end."""
LUMP = 2.0
"""Models that end within so many seconds are a lump."""


class Paces:
    """The pace of each group of models, told by when they finished on the database's clock."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._ended: Counter[str] = Counter()

    def add(self, now: float, finished: Iterable[tuple[float, str]]) -> None:
        """More models have finished.

        Args:
            now: The time on that clock.
            finished: When each of them did, and the group that it belongs to.
        """
        recent = ((round(at / LUMP), group) for at, group in finished if at > now - MEMORY)
        for (lump, group), n in sorted(Counter(recent).items()):
            self._ended[group] += n
            pace = self._paces.setdefault(group, Pace(lump * LUMP, self._ended[group]))
            pace.update(lump * LUMP, self._ended[group])

    def of(self, group: str, now: float, models: int) -> Mapping[str, str]:
        """The ``rate`` and the time ``left`` for so many models; empty where not known."""
        pace = self._paces.get(group)
        if pace is None or pace.rate() == 0 or not models:
            return {"rate": "", "left": ""}
        rate, *left = pace.texts(now, models)
        return {"rate": rate, "left": left[0].removesuffix(" left") if left else ""}
