"""How far a sweep is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections import deque
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress

from oodbench.logs import COMPUTING, TRAINING

ENDED = ("completed", "diverged", "failed")
LUMPS = 6
"""Lumps of finished models from which the rate is taken."""
LINE_EVERY = 10.0
"""Seconds between plain lines."""
SLOW = 0.1
"""Models a second; of slower sweeps, what the workers are busy with is shown, too."""


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
        """By now ``ended`` models have finished."""
        if ended != self._lumps[-1][1]:
            self._lumps.append((now, ended))

    def rate(self) -> float:
        """Models per second; 0 until one has finished."""
        seconds, models = (self._lumps[-1][i] - self._lumps[0][i] for i in (0, 1))
        return models / seconds if seconds > 0 else 0.0

    def left(self, now: float, models: int) -> float:
        """Seconds from ``now`` until ``models`` more have finished."""
        return max(0.0, models / self.rate() - (now - self._lumps[-1][0]))


def rate_text(rate: float) -> str:
    """Such as ``5.1 models/s`` or ``20 models/h``."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.1f} models/{unit}"
    return f"{rate * 3600:.1f} models/h"


def describe(counts: dict[str, int], pace: Pace, now: float) -> str:
    """Such as ``2 diverged, 0 failed, 5.1 models/s, 0:01:40 left``."""
    waiting = counts["waiting"] + counts["running"]
    text = f"{counts['diverged']} diverged, {counts['failed']} failed"
    if pace.rate() > 0:
        text += f", {rate_text(pace.rate())}"
        left = round(pace.left(now, waiting))
        if left:  # what has taken longer than expected is not told as done
            text += f", {timedelta(seconds=left)} left"
    return text


def busy_with(logs: Path) -> str:
    """What a worker computes or trains, from the ends of their logs."""
    for log in sorted(logs.glob("*.log")):
        *_, last = ["", *log.read_text(errors="replace").strip().splitlines()]
        if last.startswith((COMPUTING, TRAINING)):
            return last
    return ""


class Progress:
    """Shows the number of runs in each state; call it with them.

    Args:
        logs: Folder of the workers' logs, to show what they do while models take long.
        shown: Whether to show anything.

    Attributes:
        counts: The latest numbers.
    """

    def __init__(self, logs: Path | None = None, *, shown: bool = True) -> None:
        self.counts: dict[str, int] = {}
        self._logs = logs
        console = Console(stderr=True)
        in_notebook = console.is_jupyter and find_spec("ipywidgets") is not None
        live = sys.stderr.isatty() or in_notebook
        self._lines = shown and not live
        self._bar = RichProgress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=self._lines or not shown,
            expand=True,
        )
        self._task = self._bar.add_task("drawing the trials", total=None)
        self._pace: Pace | None = None
        self._line = 0.0

    def __call__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        now, ended = time.monotonic(), sum(counts[state] for state in ENDED)
        total = sum(counts.values())
        self._pace = self._pace or Pace(now, ended)
        self._pace.update(now, ended)
        text = describe(counts, self._pace, now)
        if self._pace.rate() < SLOW and ended < total:
            busy = busy_with(self._logs) if self._logs else ""
            if self._pace.rate() > 0:
                text = f"{text}, {busy}" if busy else text
            else:
                first = "training the first models" if counts["running"] else "starting workers"
                text = busy or first
        self._bar.update(self._task, completed=ended, total=total, description=text)
        if self._lines and (ended == total or now - self._line >= LINE_EVERY):
            self._line = now
            print(f"{ended}/{total} models, {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            print(
                "Interrupted. What finished is stored; the same command goes on from there.",
                file=sys.stderr,
            )
