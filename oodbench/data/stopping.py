"""Within a long computation: is it to stop? A worker is asked to end, or has lost its parent.

Whoever computes for seconds asks now and then, so nothing between two training steps outlives its
worker by minutes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from oodbench.errors import StopTrainingError

_asked: ContextVar[Callable[[], bool]] = ContextVar("asked", default=lambda: False)


@contextmanager
def stoppable(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Within, long computations of this thread end once ``should_stop`` says so."""
    token = _asked.set(should_stop)
    try:
        yield
    finally:
        _asked.reset(token)


def stop_if_asked() -> None:
    """Go on, unless this thread's computations are to stop.

    Raises:
        StopTrainingError: If they are.
    """
    if _asked.get()():
        raise StopTrainingError("the worker was asked to stop")
