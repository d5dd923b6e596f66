"""Work for the steps of a run, done ahead of them by threads and handed over in their order.

Threads suffice: what takes the time of a batch, in torch, numpy and Pillow, releases Python's lock.
On a GPU each result is made on a stream of its own, beside what the step computes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")
Make = Callable[[Tensor, int], Made]
"""``make(indices, step)``: what a step needs. The next call may overwrite it."""
MORE = 2
"""Places for results beyond one for each thread: that of the step itself, and one that is ready."""


class Place(Generic[Made]):
    """Where one result at a time is made, and lies until the step that it is for is over.

    Its memory is used again for the next result. On a GPU that is a matter of order among streams:
    the step waits for the result, and the next result for the step.

    Args:
        make: Makes the results of this place, and no others.
        device: Where they are.
    """

    def __init__(self, make: Make[Made], device: torch.device) -> None:
        self._make, self._device = make, device
        cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]
        self._made: torch.cuda.Event | None = None
        self._used: torch.cuda.Event | None = None
        self.give_back()  # what was queued until now may be what results are made from

    def make(self, indices: Tensor, step: int) -> Made:
        """Make a result; in a loader's thread."""
        if self._stream is None:
            return self._make(indices, step)
        with torch.cuda.stream(self._stream):
            if self._used is not None:
                self._stream.wait_event(self._used)
            result = self._make(indices, step)
            self._made = self._stream.record_event()
        return result

    def take(self) -> None:
        """Let what follows on the thread's own stream wait for the result."""
        if self._made is not None:
            torch.cuda.current_stream(self._device).wait_event(self._made)

    def give_back(self) -> None:
        """Note that nothing after this reads the result."""
        if self._stream is not None:
            self._used = torch.cuda.current_stream(self._device).record_event()


@dataclass(frozen=True)
class Asked(Generic[Made]):
    """A result that was asked for ahead of its step."""

    step: int
    place: Place[Made]
    result: Future[Made]


class Prefetcher(Generic[Made]):
    """Results for the steps of a run, made ahead by threads.

    As many are in memory as there are places, one of which is that of the step which is taken.

    Args:
        makes: For each place, what makes its results: at least one more than ``threads``.
        threads: How many results are made at a time.
        device: Where they are.
        last: No result is made for this step, nor for any after it.
    """

    def __init__(
        self, makes: Sequence[Make[Made]], threads: int, device: torch.device, last: int
    ) -> None:
        self._threads, self._last = ThreadPoolExecutor(threads, "loader"), last
        self._free = deque(Place(make, device) for make in makes)
        self._ahead: deque[Asked[Made]] = deque()
        self._in_use: Place[Made] | None = None

    def at(self, step: int, draw: Callable[[int], Tensor]) -> Made:
        """The result for a step; that of the step before may be overwritten from now on.

        Args:
            step: As a rule the next one. After another, what was made ahead is thrown away.
            draw: Gives the indices of a step; called in this thread, and in the order of steps.

        Raises:
            Exception: Whatever making it raised.
        """
        self._give_back()
        while self._ahead and self._ahead[0].step != step:
            self._in_use = self._ahead[0].place
            skipped = self._ahead.popleft().result
            if not skipped.cancel():
                wait([skipped])
            self._give_back()
        self._ask(self._ahead[-1].step + 1 if self._ahead else step, draw)
        asked = self._ahead.popleft()
        self._in_use = asked.place
        result = asked.result.result()
        asked.place.take()
        return result

    def _ask(self, step: int, draw: Callable[[int], Tensor]) -> None:
        """Ask for the results of this step and those after it, as far as there are places."""
        while self._free and step < self._last:
            place = self._free.popleft()
            result = self._threads.submit(place.make, draw(step), step)
            self._ahead.append(Asked(step, place, result))
            step += 1

    def _give_back(self) -> None:
        if self._in_use is not None:
            self._in_use.give_back()
            self._free.append(self._in_use)
            self._in_use = None

    def close(self) -> None:
        """End the threads: each finishes at most the result that it is making."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()
