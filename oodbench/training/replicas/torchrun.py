"""Trials on the processes that torchrun started, on one machine or several, a replica on each.

Rank 0 is the worker: it claims trials and stores what came of them. The others train with it what
it names, until it names nothing more. After each trial every process reports how it fared, so
that one that raises or is asked to stop ends the trial for all of them, and they go on to the next.
"""

import gc
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from oodbench.errors import (
    LostLeaseError,
    OodbenchError,
    ProcessGoneError,
    RequestError,
    StopTrainingError,
)
from oodbench.records import RunRecord, Trial
from oodbench.training.checkpoints import Saving
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.replicas.local import train_replica
from oodbench.training.replicas.processes import PLAIN, ProcessSettings

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which torchrun describes the process group; it sets all of them."""
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
IDLE = timedelta(days=365)
"""Longest wait for the next trial. A process that is gone is noticed at once: connections end."""
GRACE = 5.0
"""Seconds for which the first process goes on when it is asked to stop: torchrun asks, too, where
another one died, and this one has to notice and to store it."""
MEETINGS = count()
"""Numbers of the times that this process meets the others: once for each sweep."""
Tick = Callable[[], None]
Load = Callable[[Trial, torch.device], Tensors]


def rank() -> int | None:
    """This process's number among those that torchrun started; None if it did not start it."""
    if not all(name in os.environ for name in VARIABLES):
        return None
    return int(os.environ["RANK"])


class Ranks:
    """The processes that torchrun started; each of them makes one, at about the same time.

    On rank 0 ``leading`` comes next, on the others ``follow``: after these it is of no more use.

    Args:
        device: ``cpu``, where the backend is gloo, or ``cuda``, where it is NCCL and each process
            takes the GPU of its local rank.
        settings: How they work; the same for each of them.

    Attributes:
        rank: Rank of this process.
        size: How many there are.
        device: This process's own.
        stopping: Whether any of them was asked to stop.
    """

    def __init__(self, device: torch.device, settings: ProcessSettings = PLAIN) -> None:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        self.device, self._settings = device, settings
        meet()
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.stopping = self._gone = False

    @contextmanager
    def leading(self) -> Iterator[None]:
        """On rank 0: what happens inside may train; at its end the others are sent home."""
        try:
            yield
        finally:
            if not self._gone:
                self._name(None)
            dist.destroy_process_group()

    def follow(self, load: Load, tick: Tick) -> None:
        """On the other ranks: train what rank 0 names, until it names nothing more.

        Args:
            load: Gives the data of a trial.
            tick: Called after every step; what it raises ends the trial on all ranks.
        """
        while (trial := self._name()) is not None:
            data: list[Tensors] = []
            try:
                self._all(lambda: data.append(load(trial, self.device)))  # noqa: B023
                print(f"rank {self.rank} trains a replica of {trial.id}", flush=True)
                self._train(trial, data[0], tick, Saving())
            except OodbenchError as error:  # rank 0 stores it, or gives the trial back
                print(f"rank {self.rank}: {error}", flush=True)
        dist.destroy_process_group()

    def distribute(
        self, trial: Trial, data: Tensors, device: torch.device, tick: Tick, saving: Saving
    ) -> RunRecord:
        """On rank 0: train a trial, a replica on each rank. See ``cohorts.Distribute``.

        Raises:
            RequestError: If it has more or fewer replicas than there are ranks, or a rank was gone
                before it began.
            ProcessGoneError: If a rank died meanwhile.
            StopTrainingError: If a rank was asked to stop.
            OodbenchError: If a rank raised; names the rank and its error.
        """
        if trial.replicas != self.size:
            raise RequestError(
                f"A trial has {trial.replicas} replicas, but torchrun started {self.size} "
                "processes. Start as many, over all its machines."
            )
        try:
            self._name(trial)
        except RuntimeError as error:  # no fault of the trial
            self._gone = True
            text = (
                f"A process that torchrun started is gone: {short(error)}. Start all of them again."
            )
            raise RequestError(text) from error
        self._all(lambda: None)
        return self._train(trial, data, tick, saving)

    def _name(self, trial: Trial | None = None) -> Trial | None:
        """The trial that rank 0 names."""
        named = [None if trial is None else trial.to_json()]
        dist.broadcast_object_list(named, src=0)
        return None if named[0] is None else Trial.from_json(named[0])

    def _train(self, trial: Trial, data: Tensors, tick: Tick, saving: Saving) -> RunRecord:
        """Train this rank's replica, in a group that is made for this trial."""
        records: list[RunRecord] = []

        timeout = timedelta(seconds=self._settings.timeout)

        def act() -> None:
            group: Any = dist.new_group(backend=BACKENDS[self.device.type], timeout=timeout)
            try:
                how = group, tick, self._settings
                records.append(train_replica(trial, data, self.device, saving, *how))
            finally:
                dist.destroy_process_group(group)

        self._all(act)
        return records[0]

    def _all(self, act: Callable[[], Any]) -> None:
        """Do something on every rank, and raise on all of them if one could not."""
        own, given_up = ("", ""), None
        try:
            act()
        except Exception as error:
            traceback.print_exc()
            own = verdict(error)
            if own[0] == "stop":
                given_up = type(error)(*error.args)
        # With the error go the frames that hold this trial's group, and with it the connections:
        # only so do others notice that wait for this rank.
        gc.collect()
        reports: list[tuple[str, str]] = [("", "")] * self.size
        try:
            dist.all_gather_object(reports, own)
        except RuntimeError as error:
            self._gone = True
            text = f"a process that torchrun started is gone ({short(error)})"
            raise ProcessGoneError(text) from error
        if given_up is not None:
            raise given_up
        for kind in ("raised", "stop", "cut off"):
            for rank, (what, said) in enumerate(reports):
                if what == kind:
                    self.stopping |= kind == "stop"
                    text = f"the process of rank {rank} of {self.size}: {said}"
                    raise (StopTrainingError if kind == "stop" else OodbenchError)(text)


def meet() -> None:
    """Join the other processes, to exchange reports on trials: with gloo on GPUs too."""
    store, rank, size = next(rendezvous("env://"))
    # Processes that torchrun starts again find the store as the last ones left it, addresses too.
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0), next(MEETINGS)
    own = PrefixStore(f"oodbench {start}", store)
    dist.init_process_group("gloo", store=own, rank=rank, world_size=size, timeout=IDLE)


def verdict(error: Exception) -> tuple[str, str]:
    """How a rank fared that raised; ``cut off`` if it only noticed that another had left."""
    if isinstance(error, StopTrainingError | LostLeaseError):
        return "stop", str(error)
    cut_off = isinstance(error, dist.DistError) or "gloo/transport" in str(error)
    return "cut off" if cut_off else "raised", f"{type(error).__name__}: {short(error)}"


def short(error: Exception) -> str:
    """What an error says, without the advice that follows in torch's own."""
    return (str(error).strip().splitlines() or [""])[0].partition(". This is typically")[0]
