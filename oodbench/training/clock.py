"""Where the time of training goes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch

DATA, MODEL, OPTIMIZER, EVALUATION = "data", "forward and backward", "optimizer", "evaluation"
LOADING, FEATURES = "loading data", "frozen features"
TRAINING = DATA, MODEL, OPTIMIZER


class Clock:
    """Adds up the seconds that are spent in each phase; phases do not overlap.

    Args:
        wait: Called at each end of a phase. On a GPU, whose work is only queued, it has to wait for
            it, or the times mean nothing.

    Attributes:
        seconds: By phase.
    """

    def __init__(self, wait: Callable[[], None] = lambda: None) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._wait = wait

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time what is done inside."""
        start = time.perf_counter()
        yield
        self._wait()
        self.seconds[phase] += time.perf_counter() - start


def clock_of(device: torch.device) -> Clock:
    """A clock that waits for the device, and so slows a GPU down."""
    cuda = device.type == "cuda"
    return Clock(partial(torch.cuda.synchronize, device)) if cuda else Clock()
