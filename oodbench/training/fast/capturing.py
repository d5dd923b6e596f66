"""Whole steps of a stack as CUDA graphs: forward pass, backward pass and optimizers start as one.

A graph starts the kernels that were captured, on the memory that they had then; no line of Python
runs again. So what differs from step to step is copied to one place before: the batch, the number
of the step, and the numbers of the optimizers (``Together.prepare``).
"""

import sys
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from oodbench.training.fast.compiling import first_line

Update = Callable[[Tensor, Tensor, Any], Tensor]
"""A step on a batch's inputs and labels, whose number is a tensor: returns the (K,) losses."""
WARM = 3
"""Steps that are taken before one is captured: in the first, libraries prepare themselves."""


class Captured:
    """Steps that are captured once and then replayed.

    Args:
        what: They train, to be named where it cannot be captured.

    Attributes:
        used: Whether a step was captured.
    """

    def __init__(self, what: str) -> None:
        self._what, self._possible, self.used = what, True, False
        self._key: Hashable = None
        self._taken = 0  # steps of this key
        self._given: list[Tensor] = []  # where a graph finds a batch and the number of the step
        self._replay: Callable[[], Tensor] | None = None

    def __call__(
        self, update: Update, key: Hashable, inputs: Tensor, labels: Tensor, step: int
    ) -> Tensor:
        """Take a step.

        Args:
            update: Takes it; reads no number of the host that changes, and waits for nothing.
            key: Steps with another one are other kernels, or on other memory.
            inputs, labels: The batch.
            step: Its number.
        """
        given = [inputs, labels, torch.full((), step, device=inputs.device)]
        key = key, *(one.shape for one in given)
        if key != self._key:
            self._key, self._taken, self._replay = key, 0, None
        self._taken += 1
        if self._possible and self._replay is None and self._taken > WARM:
            self._given = [one.clone() for one in given]
            self._capture(update)
        if self._replay is None:
            return aside(update, given)
        for place, one in zip(self._given, given, strict=True):
            place.copy_(one)
        return self._replay().clone()

    def _capture(self, update: Update) -> None:
        """Capture a step, which is not taken by that. If that fails, steps go on as before."""
        try:
            self._replay = capture(update, self._given)
            self.used = True
        except RuntimeError as error:
            if self._given[0].is_cuda:
                torch.cuda.synchronize()  # raises if it is the GPU that failed
            self._possible = False
            why = first_line(error)
            print(f"{self._what}: no CUDA graph: {why}", file=sys.stderr, flush=True)


def aside(update: Update, given: list[Tensor]) -> Tensor:
    """Take a step on a stream that is not the usual one, as is needed before a capture."""
    if not given[0].is_cuda:
        return update(*given)
    usual, stream = torch.cuda.current_stream(), side_stream(given[0].device)
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        losses = update(*given)
    usual.wait_stream(stream)
    return losses


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all, as each has cached memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def capture(update: Update, given: list[Tensor]) -> Callable[[], Tensor]:
    """Capture a step on this memory; returns what takes it, and gives its losses' memory."""
    graph = torch.cuda.CUDAGraph()
    # Loaders' threads may meanwhile use streams of their own.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        losses = update(*given)

    def replay() -> Tensor:
        graph.replay()
        return losses

    return replay
