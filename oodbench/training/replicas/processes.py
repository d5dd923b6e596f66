"""One replica a process, on torch.distributed."""

import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from oodbench.training.replicas.methods import Seconds

TIMEOUT = 600.0
"""Seconds that a replica waits for the others: all of them do the same, and at about one time."""


@dataclass(frozen=True)
class ProcessSettings:
    """How the replicas of a trial work on processes of their own.

    Attributes:
        timeout: Seconds that a replica waits for the others. After that gloo raises, and NCCL
            aborts the process.
        profiled: Whether a GPU is waited for after each phase and around each exchange, without
            which their times are not known there.
        deterministic: See ``precision.numerics``.
        loaders: Loader threads of each replica: see ``inputs.loading.Loading``.
    """

    timeout: float = TIMEOUT
    profiled: bool = False
    deterministic: bool = True
    loaders: int | None = 0


PLAIN = ProcessSettings()


class Apart:
    """This process's one replica among those of the process group: see ``methods.Group``.

    ``torch.distributed`` has to be initialised, with the backend gloo on CPUs, NCCL on GPUs: see
    ``oodbench.training.replicas.local`` and ``oodbench.training.replicas.torchrun``.

    Args:
        device: Where the replica is.
        group: Group of processes; all of them by default.
        timed: Whether to take the time of each exchange, for which all have to meet before it and a
            GPU has to be waited for.
    """

    engine = "processes"

    def __init__(
        self, device: torch.device, group: dist.ProcessGroup | None = None, timed: bool = True
    ) -> None:
        self._device, self._group = device, group
        self._replicas, rank = dist.get_world_size(group), dist.get_rank(group)
        self.here = range(rank, rank + 1)
        self.seconds = Seconds(0.0, 0.0) if timed else None

    def mean(self, rows: Tensor) -> Tensor:
        """The mean over all processes, of a row that each of them has."""
        place = rows.device
        total = rows[0].to(self._device, copy=True)
        dist.all_reduce(total, group=self._group)
        return total.div_(self._replicas).to(place)

    def exchange(self, rows: Tensor) -> Tensor:
        """``mean``, timed: first until the slowest replica is there, then until all have it."""
        if self.seconds is None:
            return self.mean(rows)
        start = self._now()
        barrier(self._device, self._group)
        met = self._now()
        mean = self.mean(rows)
        self.seconds = Seconds(
            self.seconds.waiting + met - start, self.seconds.communication + self._now() - met
        )
        return mean

    def _now(self) -> float:
        """Seconds, once this replica's device has done what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def least(self, value: int) -> int:
        """The smallest of the values of all processes."""
        smallest = torch.tensor(value, device=self._device)
        dist.all_reduce(smallest, dist.ReduceOp.MIN, self._group)
        return int(smallest)


def barrier(device: torch.device, group: dist.ProcessGroup | None = None) -> None:
    """Wait until all processes of a group are here. NCCL has to know each process's GPU for it."""
    gpus = None if device.index is None else [device.index]
    dist.barrier(group, device_ids=gpus if device.type == "cuda" else None)
