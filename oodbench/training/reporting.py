"""How far long training is, as lines: those of a worker are in its log."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from oodbench.logs import TRAINING

if TYPE_CHECKING:
    from oodbench.training.loop import Run

EVERY = 10.0
"""Seconds between two lines of a log."""


def print_line(line: str) -> None:
    """Print it at once, also into a file."""
    print(line, flush=True)


class Reported:
    """Takes the place of a loop's ``tick``: calls it, and now and then reports a line.

    Args:
        run: Which is trained.
        tick: The one to call.
        tell: Takes a line; prints it by default.
        every: Seconds between two lines.
    """

    def __init__(
        self,
        run: "Run",
        tick: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = print_line,
        every: float = EVERY,
    ) -> None:
        self._run, self._tick, self._tell, self._every = run, tick, tell, every
        self._last, self._done = time.monotonic(), run.done

    def __call__(self) -> None:
        self._tick()
        now, run = time.monotonic(), self._run
        if now - self._last < self._every:
            return
        pace = (now - self._last) / (run.done - self._done)
        # Since the last evaluation; of what is shown only now and then, a wait for a GPU is cheap.
        loss = f", loss {run.total.nanmean().item() / run.summed:.4g}" if run.summed else ""
        steps = f"step {run.done:,} of {run.trials[0].steps:,}"
        self._tell(f"{TRAINING}{steps}{loss}, {pace:.2g} s a step")
        self._last, self._done = now, run.done
