"""How far long work is, for people: a bar on a terminal or in a notebook, plain lines elsewhere."""

import sys
import time
from collections import deque
from datetime import timedelta
from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

LUMPS = 6
"""Lumps of finished models from which the rate is taken."""
LINE_EVERY = 10.0
"""Seconds between plain lines."""


class Pace:
    """How many models finish in a second, and how long the others will take.

    Models finish in lumps, for they are trained together; so the rate is taken over the last few
    lumps, and stays as it is until the next.

    Args:
        now: Seconds on some clock.
        ended: Models that had finished before.
    """

    def __init__(self, now: float, ended: int) -> None:
        self._lumps = deque([(now, ended)], maxlen=LUMPS + 1)

    def update(self, now: float, ended: int) -> None:
        """Note that ``ended`` models have finished by now."""
        if ended != self._lumps[-1][1]:
            self._lumps.append((now, ended))

    def rate(self) -> float:
        """Models per second; 0 until one has finished."""
        seconds, models = (self._lumps[-1][i] - self._lumps[0][i] for i in (0, 1))
        return models / seconds if seconds > 0 else 0.0

    def left(self, now: float, models: int) -> float:
        """Seconds from ``now`` until ``models`` more have finished."""
        return max(0.0, models / self.rate() - (now - self._lumps[-1][0]))

    def texts(self, now: float, models: int) -> list[str]:
        """Texts such as ``5.1 models/s`` and ``0:01:40 left``, with ``models`` to come."""
        if self.rate() == 0:
            return []
        left = round(self.left(now, models))  # nothing once it is overdue
        return [rate_text(self.rate()), *([f"{timedelta(seconds=left)} left"] if left else [])]


def rate_text(rate: float) -> str:
    """The rate as text, such as ``5.1 models/s`` or ``20 models/h``."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.1f} models/{unit}"
    return f"{rate * 3600:.1f} models/h"


class Display:
    """Shows how much of the work is done; call it with that.

    Args:
        things: What is counted, such as ``models``.
        first: What a bar says before anything is known.
        shown: Whether to show anything.
    """

    def __init__(self, things: str, first: str = "", *, shown: bool = True) -> None:
        console = Console(stderr=True)
        in_notebook = console.is_jupyter and find_spec("ipywidgets") is not None
        live = sys.stderr.isatty() or in_notebook
        self._things, self._lines, self._line = things, shown and not live, 0.0
        self._bar = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=self._lines or not shown,
            expand=True,
        )
        self._task = self._bar.add_task(first, total=None)

    def __call__(self, done: int, total: int, text: str) -> None:
        """Show that ``done`` of ``total`` things are done, and ``text``; lines not too often."""
        self._bar.update(self._task, completed=done, total=total, description=text)
        now = time.monotonic()
        if self._lines and (done == total or now - self._line >= LINE_EVERY):
            self._line = now
            line = ", ".join([f"{done}/{total} {self._things}", *([text] if text else [])])
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bar.stop()
