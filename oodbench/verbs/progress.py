"""How far a sweep is: its models, the best so far, and what its workers are busy with."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from oodbench.logs import NO_ANSWER, busy_with
from oodbench.verbs.display import Display, Pace

ENDED = ("completed", "diverged", "failed")
SLOW = 0.1
"""Models a second; of slower sweeps, what the workers are busy with is shown, too."""


def describe(counts: dict[str, int], pace: Pace, now: float, best: float | None = None) -> str:
    """A line such as ``2 diverged, 0 failed, 5.1 models/s, 0:01:40 left, best id_val 0.912``."""
    texts = [f"{counts['diverged']} diverged", f"{counts['failed']} failed"]
    texts += pace.texts(now, counts["waiting"] + counts["running"])
    return ", ".join([*texts, *([] if best is None else [f"best id_val {best:.3f}"])])


def first_busy(logs: Path) -> str:
    """What a worker waits for, computes or trains, from the ends of their logs."""
    busy = [*filter(None, map(busy_with, sorted(logs.glob("*.log")))), ""]
    return next((text for text in busy if text.startswith(NO_ANSWER)), busy[0])


class Progress:
    """Shows the number of runs in each state; call it with them.

    Args:
        logs: Folder of the workers' logs, to show what they do while models take long.
        shown: Whether to show anything.

    Attributes:
        best: Looks up the highest ID validation accuracy so far; called when runs have completed.
    """

    def __init__(self, logs: Path | None = None, *, shown: bool = True) -> None:
        self.best: Callable[[], float | None] = lambda: None
        self._logs, self._shown = logs, shown
        self._display = Display("models", "drawing the trials", shown=shown)
        self._pace: Pace | None = None
        self._completed, self._ended = 0, -1
        self._highest: float | None = None

    def __call__(self, counts: dict[str, int]) -> None:
        now, ended = time.monotonic(), sum(counts[state] for state in ENDED)
        total = sum(counts.values())
        self._pace = self._pace or Pace(now, ended)
        self._pace.update(now, ended)
        if self._shown and counts["completed"] != self._completed:
            self._completed, self._highest = counts["completed"], self.best()
        text = describe(counts, self._pace, now, self._highest)
        slow, stuck = self._pace.rate() < SLOW, ended == self._ended
        self._ended = ended
        busy = first_busy(self._logs) if self._logs and (slow or stuck) and ended < total else ""
        if busy.startswith(NO_ANSWER):
            text = busy  # whatever the rate was: nothing goes on
        elif slow and ended < total:
            if self._pace.rate() > 0:
                text = f"{text}, {busy}" if busy else text
            else:
                first = "training the first models" if counts["running"] else "starting workers"
                text = busy or first
        self._display(ended, total, text)

    def __enter__(self) -> "Progress":
        self._display.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        self._display.__exit__()
        if kind is KeyboardInterrupt and self._shown:
            print(
                "Interrupted. What finished is stored; the same command goes on from there.",
                file=sys.stderr,
            )
