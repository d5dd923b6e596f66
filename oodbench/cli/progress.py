"""How far a sweep is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress

ENDED = ("completed", "diverged", "failed")
LINE_EVERY = 10.0
"""Seconds between plain lines."""


def describe(counts: dict[str, int], rate: float) -> str:
    """Such as ``2 diverged, 0 failed, 5.1 models/s, 1:40 left``."""
    left = counts["waiting"] + counts["running"]
    text = f"{counts['diverged']} diverged, {counts['failed']} failed"
    if rate > 0:
        text += f", {rate:.1f} models/s"
        if left:
            seconds = round(left / rate)
            text += f", {seconds // 60}:{seconds % 60:02d} left"
    return text


class Progress:
    """Shows the number of runs in each state; call it with them.

    Attributes:
        counts: The latest numbers.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._terminal = sys.stderr.isatty()
        self._bar = RichProgress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            disable=not self._terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._start: tuple[float, int] | None = None
        self._line = 0.0

    def __call__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        now, ended = time.monotonic(), sum(counts[state] for state in ENDED)
        total = sum(counts.values())
        if self._start is None or ended == self._start[1]:
            # Counted from the last moment at which nothing new had finished.
            self._start = (now, ended) if self._start is None else self._start
        began, before = self._start
        rate = (ended - before) / (now - began) if now > began else 0.0
        text = describe(counts, rate)
        self._bar.update(self._task, completed=ended, total=total, description=text)
        finished = ended == total
        if not self._terminal and (finished or now - self._line >= LINE_EVERY):
            self._line = now
            print(f"{ended}/{total} models, {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
