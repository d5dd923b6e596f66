"""The batches of a run: made when a step asks for them, or ahead of it by threads.

A batch is a function of the trials' seeds and of the step. So neither the number of threads nor how
far they are ahead changes a bit of it, and a run that goes on from a checkpoint asks for the batch
of the step that it is at.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from oodbench.machine import WORKERS_HERE, cores
from oodbench.training.inputs.augmentation import training_inputs
from oodbench.training.inputs.prefetching import MORE, Prefetcher
from oodbench.training.inputs.stored import Inputs, StoredInputs, upload
from oodbench.training.inputs.tensors import Tensors

TIMED = 3
"""Batches that are timed before it is chosen how many threads make the others."""
WORTH = 0.02
"""No thread is started where a batch takes less than this share of the rest of a step."""
SLOWER = 1.5
"""How many times as long a batch may take in a thread, which shares Python's lock with the step."""
MEMORY = 2**30
"""Bytes of batches beyond which no further thread is chosen."""


@dataclass(frozen=True)
class Batch:
    """What a step takes.

    Attributes:
        inputs: (U, G, B, *shape) floats: see ``Batches``.
        labels: (U, G, B) integers.
    """

    inputs: Tensor
    labels: Tensor


class Maker:
    """Makes batches, of which each may overwrite the one before.

    Where examples are stored outside of a GPU, those of a batch are gathered in pinned memory and
    copied there once, as the bytes that they are stored as; all else is done there.

    Args:
        data: Training examples.
        seeds: Seeds of the U models that have batches of their own.
        device: Where the batches are needed.
    """

    def __init__(self, data: Tensors, seeds: Sequence[int], device: torch.device) -> None:
        self._data, self._seeds, self._device = data, seeds, device
        self._inputs = training_inputs(data.inputs, data.augment, seeds)

    def __call__(self, indices: Tensor, step: int) -> Batch:
        """The batch of a step, whose (U, G, B) indices are at ``data.inputs.place``."""
        data, numbers = self._data, indices
        if isinstance(data.inputs, StoredInputs) and self._device.type == "cuda":
            numbers = upload(indices, self._device)
            brought = Inputs(data.inputs.as_stored(indices.flatten()), data.inputs.dtype)
            places = torch.arange(indices.numel(), device=self._device).view_as(indices)
            inputs = training_inputs(brought, data.augment, self._seeds)(places, step)
        else:
            inputs = self._inputs(indices, step)
        return Batch(inputs, data.labels.take(numbers))


class Loading:
    """The batches of a run, one step after the other.

    Args:
        data: Training examples.
        seeds: Seeds of the U models that have batches of their own.
        device: Where the batches are needed.
        loaders: Threads that make them ahead, within ``until``; 0: each is made when it is asked
            for; None: as many as the first steps show to be of use. Examples that lie on the
            device, and need no changing by the CPU, are taken from there whatever this is.
    """

    def __init__(
        self, data: Tensors, seeds: Sequence[int], device: torch.device, loaders: int | None = 0
    ) -> None:
        self._given = data, seeds, device
        self._device, self._maker = device, Maker(*self._given)
        stored = isinstance(data.inputs, StoredInputs)
        waits = stored or (bool(data.augment) and device.type == "cpu")
        self.loaders = loaders if waits else 0
        self._last, self._begun = 0, False
        self._pace = Pace(device)
        self._ahead: Prefetcher[Batch] | None = None

    @contextmanager
    def until(self, last: int) -> Iterator[None]:
        """Within, batches may be made ahead, up to that of step ``last`` - 1.

        The first is the step's own: what augmentation keeps on a GPU from then on is there before
        other streams use it.
        """
        self._last, self._begun = last, False
        try:
            yield
        finally:
            self._last, self._begun = 0, False
            if self._ahead is not None:
                self._ahead.close()
                self._ahead = None

    def at(self, step: int, draw: Callable[[int], Tensor]) -> Batch:
        """The batch of a step; that of the step before is no longer there.

        Args:
            step: Step, from 0.
            draw: Gives the indices of a step: see ``Batches.at``.

        Raises:
            Exception: Whatever making the batch raised.
        """
        if self._ahead is None and self._begun and self.loaders:
            more = [Maker(*self._given) for _ in range(self.loaders + MORE - 1)]
            makers = [self._maker, *more]
            self._ahead = Prefetcher(makers, self.loaders, self._device, self._last)
        if self._ahead is not None:
            return self._ahead.at(step, draw)
        self._begun = self._last > 0
        if not self._begun or self.loaders is not None:
            return self._maker(draw(step), step)
        with self._pace.of_a_batch():
            batch = self._maker(draw(step), step)
        if self._pace.known:
            needed, room = self._pace.loaders(), MEMORY // batch.inputs.nbytes - MORE
            self.loaders = max(0, min(needed, room, spare_cores(self._device)))
        return batch


class Pace:
    """How long a batch takes where a step waits for it, and how long the rest of the step.

    Of each the least of some counts, which others on the machine have disturbed least.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._batches: list[float] = []
        self._others: list[float] = []  # times of the rest of a step
        self._end: float | None = None

    @contextmanager
    def of_a_batch(self) -> Iterator[None]:
        """Time what is done inside, and what was done since the last time."""
        start = self._now()
        if self._end is not None:
            self._others.append(start - self._end)
        yield
        self._end = self._now()
        self._batches.append(self._end - start)

    @property
    def known(self) -> bool:
        """Whether enough batches were timed."""
        return len(self._batches) == TIMED

    def loaders(self) -> int:
        """How many threads keep up with the steps; 0 if they would save next to nothing."""
        batch, other = min(self._batches), min(self._others)
        return 0 if batch < WORTH * other else math.ceil(SLOWER * batch / other)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def spare_cores(device: torch.device) -> int:
    """CPU cores that this worker may use beside the one that trains.

    They are shared among the workers, or the processes that torchrun started. A worker that was
    started by itself on a CPU is taken for one of as many as there are cores, and one on a GPU for
    the only one.
    """
    alone = cores() if device.type == "cpu" else 1
    sharing = os.environ.get(WORKERS_HERE) or os.environ.get("LOCAL_WORLD_SIZE") or alone
    return cores() // int(sharing) - 1
