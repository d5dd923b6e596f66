"""One replica a process, on torch.distributed."""

import time

import torch
import torch.distributed as dist
from torch import Tensor

from oodbench.training.replicas.methods import Seconds


class Apart:
    """This process's one replica among those of the process group: see ``methods.Group``.

    ``torch.distributed`` has to be initialised, with the backend gloo on CPUs, NCCL on GPUs: see
    ``oodbench.training.replicas.local`` and ``oodbench.training.replicas.torchrun``.

    Args:
        device: Where the replica is.
        group: Of processes; by default all of them.
    """

    engine = "processes"

    def __init__(self, device: torch.device, group: dist.ProcessGroup | None = None) -> None:
        self._device, self._group = device, group
        self._replicas, rank = dist.get_world_size(group), dist.get_rank(group)
        self.here = range(rank, rank + 1)
        self.seconds = Seconds(0.0, 0.0)

    def mean(self, rows: Tensor) -> Tensor:
        """The mean over all processes, of a row that each of them has."""
        place = rows.device
        total = rows[0].to(self._device, copy=True)
        dist.all_reduce(total, group=self._group)
        return total.div_(self._replicas).to(place)

    def exchange(self, rows: Tensor) -> Tensor:
        """``mean``, timed: first until the slowest replica is there, then until all have it."""
        start = self._now()
        dist.barrier(self._group)
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
