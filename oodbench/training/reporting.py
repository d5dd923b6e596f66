"""How far long training is, as lines in the worker's log."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from oodbench.logs import TRAINING

if TYPE_CHECKING:
    from oodbench.training.loop import Run

EVERY = 10.0
"""Seconds between two lines."""


class Reported:
    """Takes the place of a loop's ``tick``: calls it, and prints a line every ten seconds.

    Args:
        run: Which is trained.
        tick: The one to call.
    """

    def __init__(self, run: "Run", tick: Callable[[], None]) -> None:
        self._run, self._tick = run, tick
        self._last, self._done = time.monotonic(), run.done

    def __call__(self) -> None:
        self._tick()
        now, run = time.monotonic(), self._run
        if now - self._last < EVERY:
            return
        pace = (now - self._last) / (run.done - self._done)
        # Since the last evaluation; of what is shown only now and then, a wait for a GPU is cheap.
        loss = f", loss {run.total.nanmean().item() / run.summed:.4g}" if run.summed else ""
        steps = f"step {run.done:,} of {run.trials[0].steps:,}"
        print(f"{TRAINING}{steps}{loss}, {pace:.2g} s a step", flush=True)
        self._last, self._done = now, run.done
